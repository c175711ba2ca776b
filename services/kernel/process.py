"""The process of a service: settings, logs, the runner, and how it ends.

Exit codes: 0 ended as told, 1 failed, 2 settings or topics that cannot work.
"""

import asyncio
import gc
import sys

from aiokafka.errors import KafkaConnectionError

from services.kernel.observe import configure, log
from services.kernel.runner import NotProvisioned, Runner
from services.kernel.service import Service
from services.kernel.settings import Settings, SettingsError, load


def main(service: Service) -> None:
    """Runs a service until SIGINT or SIGTERM; exits with one line when it cannot."""
    try:
        settings = load()
        configure(settings, service.name)
        collect_less_often()
        asyncio.run(_run(service, settings))
    except (SettingsError, NotProvisioned) as error:
        sys.exit(_failed(service, str(error), 2))
    except KafkaConnectionError as error:
        sys.exit(_failed(service, f"cannot reach Kafka: {error}", 1))
    except Exception as error:
        log.error("service_failed", exc_info=error)
        sys.exit(_failed(service, f"{type(error).__name__}: {error}", 1))


async def _run(service: Service, settings: Settings) -> None:
    await Runner(service, settings).run()


def collect_less_often() -> None:
    """State is many long-lived objects without cycles: walking them over and over took a third of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _failed(service: Service, why: str, code: int) -> int:
    print(f"herald {service.name}: {why}", file=sys.stderr)
    return code
