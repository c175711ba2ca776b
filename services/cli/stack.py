"""Herald as one piece: a Kafka, its topics, and every service as a process of its own."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from schemas.topics import SERVICES
from services.embedded import Progress
from services.embedded.broker import Broker, Running
from services.embedded.supervisor import Happened, Program, Supervisor
from services.kernel.settings import Settings

READY_SECONDS = 60.0


class StackError(Exception):
    """Not everything came up; one line for people."""


def use_kafka(settings: Settings, data: Path, progress: Progress, port: int | None = None) -> tuple[str, Broker | None]:
    """The address of the Kafka to use, and the embedded broker that was started for it, owned by this process.

    An existing cluster named by HERALD_KAFKA__BOOTSTRAP_SERVERS is used as it is; then nothing is fetched or started.
    Call it from the main thread: the broker is tied to the thread that starts it.
    """
    if settings.kafka.bootstrap_servers:
        return settings.kafka.bootstrap_servers, None
    broker = Broker(data)
    if broker.is_secure:
        raise StackError(
            f"the Kafka of {data} asks who is there: start it with `herald kafka start`, and each service with "
            "`herald run` and a user of its own (`herald credentials issue service.windows`)"
        )
    already: Running | None = broker.status()
    running = broker.start(progress, port, owned=True)
    return running.bootstrap_servers, None if already else broker


def supervisor(
    data: Path,
    bootstrap_servers: str,
    show: Callable[[Happened], None],
    env: dict[str, str] | None = None,
    door_port: int | None = None,
) -> Supervisor:
    """Every service, not yet started; with a port for it, the HTTP door as well."""
    shared = {
        "HERALD_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "HERALD_DATA": str(data.absolute()),
        "HERALD_LOG_FORMAT": "json",
        **(env or {}),
    }
    programs = [Program(name, [sys.executable, "-m", f"services.{name}"], shared) for name in SERVICES]
    if door_port:
        command = [sys.executable, "-m", "services.gateway.door"]
        programs.append(Program("door", command, shared | {"HERALD_DOOR__PORT": str(door_port)}))
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
