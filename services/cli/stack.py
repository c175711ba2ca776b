"""Herald as one piece: a Kafka, its topics, and every service as a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.topics import SERVICES
from services.cli import session
from services.embedded import Progress
from services.embedded.broker import Broker
from services.embedded.supervisor import Happened, Program, Supervisor
from services.kernel.settings import KafkaSettings, Settings, SettingsError

READY_SECONDS = 90.0


class StackError(Exception):
    """Not everything came up; one line for people."""


@dataclass(frozen=True, slots=True)
class Kafka:
    """The Kafka to use, as its administrator reaches it; `broker`: the embedded one, `ours`: which this process began.

    `broker` is None where HERALD_KAFKA__BOOTSTRAP_SERVERS names a cluster.
    """

    settings: KafkaSettings
    broker: Broker | None = None
    ours: bool = False

    @property
    def secured(self) -> Broker | None:
        """The embedded broker where its clients must say who they are."""
        return self.broker if self.broker is not None and self.broker.is_secure else None

    def stop(self) -> None:
        """Ends what this process began."""
        if self.broker is not None and self.ours:
            self.broker.stop()


def use_kafka(
    settings: Settings, data: Path, progress: Progress, port: int | None = None, *, secure: bool = False
) -> Kafka:
    """An embedded Kafka, started where it does not run, and then owned by this process; or the cluster that is named.

    A secured one's files are from here on the owner's alone, whatever writes them. Call it from the main thread: the
    broker is tied to the thread that starts it.
    """
    if settings.kafka.bootstrap_servers:
        if secure:
            raise SettingsError(
                "--secure makes a Kafka of its own: unset HERALD_KAFKA__BOOTSTRAP_SERVERS, or leave --secure out"
            )
        return Kafka(settings.kafka)
    broker = Broker(data, secure=secure)
    if secure or broker.is_secure:
        os.umask(0o077)
    already = broker.status()
    running = broker.start(progress, port, owned=True)
    return Kafka(session.embedded(settings.kafka, broker, running.bootstrap_servers), broker, already is None)


def supervisor(
    data: Path,
    bootstrap_servers: str,
    show: Callable[[Happened], None],
    env: Mapping[str, str],
    own: Mapping[str, Mapping[str, str]],
) -> Supervisor:
    """Every service, not yet started; the HTTP door and the watchdog where they have an environment of their own."""
    shared = {
        "HERALD_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "HERALD_DATA": str(data.absolute()),
        "HERALD_LOG_FORMAT": "json",
        **env,
    }
    others = {"door": "services.gateway.door", "watchdog": "services.watchdog"}
    modules: dict[str, str] = {name: f"services.{name}" for name in SERVICES}
    modules |= {name: module for name, module in others.items() if name in own}
    programs = [
        Program(name, [sys.executable, "-m", module], {**shared, **own.get(name, {})})
        for name, module in modules.items()
    ]
    return Supervisor(data, programs, show)


async def wait_ready(services: Supervisor) -> None:
    """Waits until all services are ready. Raises StackError naming those that are not, and their logs."""
    late = await services.ready(READY_SECONDS)
    if late:
        logs = ", ".join(str(services.log_of(name)) for name in late)
        raise StackError(f"not ready after {READY_SECONDS:.0f} s: {', '.join(late)} (log: {logs})")


async def until_signal(stop: asyncio.Event) -> None:
    """Waits for SIGINT or SIGTERM, or for `stop` to be set."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
