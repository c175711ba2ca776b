"""Logs: structlog, JSON when not a terminal. Ids and coordinates, never payloads, names, references or addresses."""

import logging
import sys
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from pydantic_core import to_json

from services.kernel.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger("herald")


def _json(entry: Any, **_: Any) -> str:
    # A third of what the standard library takes, for a line a request.
    return to_json(entry, fallback=repr).decode()


def configure(settings: Settings, service: str) -> None:
    """Sets the process's logging up, and binds the service's name to every line."""
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    level = getattr(logging, settings.log_level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="logged_at"),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(_json)
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    quiet_client()


def quiet_client() -> None:
    """Keeps what the Kafka client says of each retry, and of its batches that failed, out of the output.

    What comes of them is said where it is handled.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_is_not_of_a_batch)


def _is_not_of_a_batch(record: logging.LogRecord) -> bool:
    # aiokafka gives each batch two futures and asks one: of a batch that is fenced asyncio logs the other's traceback.
    error = record.exc_info[1] if record.exc_info else None
    forgotten = record.getMessage().startswith("Future exception was never retrieved")
    return not (forgotten and isinstance(error, KafkaError))
