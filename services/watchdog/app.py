"""Wires the watchdog: settings, logs, its health port, and how it ends."""

import asyncio
import signal
import sys

from aiokafka.errors import KafkaConnectionError

from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.health import HealthServer
from services.kernel.observe import configure, log
from services.kernel.settings import Settings, SettingsError, load
from services.watchdog.auditing import Auditing
from services.watchdog.patrol import Patrol
from services.watchdog.wire import Wire


def main() -> None:
    """Watches until SIGINT or SIGTERM; whatever goes wrong is one line."""
    try:
        settings = load()
        configure(settings, "watchdog")
        asyncio.run(watch(settings))
    except SettingsError as error:
        sys.exit(_failed(str(error), 2))
    except KafkaConnectionError as error:
        sys.exit(_failed(f"cannot reach Kafka: {error}", 1))
    except Exception as error:
        log.error("service_failed", exc_info=error)
        sys.exit(_failed(f"{type(error).__name__}: {error}", 1))


async def watch(settings: Settings) -> None:
    """Watches until a signal comes."""
    wire = Wire(Connection(settings.kafka))
    patrol = Patrol(wire, SystemClock(settings.clock), settings.watchdog.every)
    health = HealthServer(settings, "watchdog", patrol.problems)
    health.start()
    task = asyncio.create_task(patrol.run())
    auditing = asyncio.create_task(Auditing(settings.watchdog, lambda: wire.on_duty).run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("stopped")
    finally:
        auditing.cancel()
        await asyncio.gather(auditing, return_exceptions=True)
        health.stop()


def _failed(why: str, code: int) -> int:
    print(f"herald watchdog: {why}", file=sys.stderr)
    return code
