"""What every process of Herald has in common: settings, logs, and how it ends.

Exit codes: 0 ended as told, 1 failed, 2 settings or topics that cannot work.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaConnectionError

from services.kernel.collecting import collect_less_often
from services.kernel.observe import configure, log
from services.kernel.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from services.kernel.service import Service

Errors = tuple[type[Exception], ...]


def main(service: "Service") -> None:
    """Runs a service until SIGINT or SIGTERM; exits with one line when it cannot."""
    from services.kernel.runner import NotProvisioned, Runner  # noqa: PLC0415 - what the door and the watchdog do without

    async def work(settings: Settings) -> None:
        collect_less_often()
        await Runner(service, settings).run()

    run(service.name, work, unusable=(NotProvisioned,))


def run(
    name: str, work: Callable[[Settings], Coroutine[Any, Any, None]], *, unusable: Errors = (), explained: Errors = ()
) -> None:
    """Runs a process's work, and exits with one line when it cannot.

    `unusable`: errors that mean what SettingsError means; `explained`: errors that say all that there is to say.
    """
    wrong: Errors = (SettingsError, *unusable)
    try:
        settings = load()
        configure(settings, name)
        asyncio.run(work(settings))
    except wrong as error:
        sys.exit(_failed(name, str(error), 2))
    except explained as error:
        sys.exit(_failed(name, str(error), 1))
    except KafkaConnectionError as error:
        sys.exit(_failed(name, f"cannot reach Kafka: {error}", 1))
    except Exception as error:
        log.error("service_failed", exc_info=error)
        sys.exit(_failed(name, f"{type(error).__name__}: {error}", 1))


def _failed(name: str, why: str, code: int) -> int:
    print(f"herald {name}: {why}", file=sys.stderr)
    return code
