"""Wires the watchdog: settings, logs, its health port, and how it ends."""

import asyncio
import signal

from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.ending import ended
from services.kernel.health import HealthServer
from services.kernel.observe import log
from services.kernel.process import run
from services.kernel.settings import Settings
from services.watchdog.auditing import Auditing
from services.watchdog.patrol import Patrol
from services.watchdog.wire import Wire


def main() -> None:
    """Watches until SIGINT or SIGTERM; whatever goes wrong is one line."""
    run("watchdog", watch)


async def watch(settings: Settings) -> None:
    """Watches until a signal comes."""
    wire = Wire(Connection(settings.kafka))
    patrol = Patrol(wire, SystemClock(settings.clock), settings.watchdog.every)
    health = HealthServer(settings, "watchdog", patrol.problems)
    health.start()
    task = asyncio.create_task(patrol.run())
    auditing = asyncio.create_task(Auditing(settings.watchdog, lambda: wire.on_duty).run())
    signalled = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    told = asyncio.create_task(signalled.wait())
    try:
        await asyncio.wait([task, told], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()  # raises: by itself it only fails
        log.info("stopped")
    finally:
        await ended(task, told, auditing)
        await wire.stop()
        health.stop()
