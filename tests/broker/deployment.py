"""A deployment for a test: topics and registry under a prefix of its own, services as processes that can be hurt."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from schemas.registry import Registry
from services.embedded.lifeline import tied
from services.embedded.ports import free
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.provision import provision
from services.kernel.registry_log import publish
from services.kernel.settings import KafkaSettings

ALL = ("gateway", "announcements", "windows", "notifier", "acknowledgements")


def is_frozen(pid: int) -> bool:
    """Whether a signal has stopped a process: its threads are stopped one by one, and one may still go on."""
    states = [each.read_text().rpartition(")")[2].split()[0] for each in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) == {"T"}


async def freeze(pid: int) -> None:
    """Stops a process, and waits until all of it stands still: else it may still take what comes next."""
    os.kill(pid, signal.SIGSTOP)
    while not is_frozen(pid):
        await asyncio.sleep(0.001)


@dataclass(slots=True)
class Process:
    """One service process."""

    name: str
    popen: subprocess.Popen[bytes]
    port: int
    log: Path

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self.popen.send_signal(number)

    def kill(self) -> None:
        """kill -9, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        self.popen.wait(30)

    @property
    def is_frozen(self) -> bool:
        """Whether it has been stopped by a signal."""
        return is_frozen(self.popen.pid)

    async def says(self, text: str, seconds: float = 180) -> None:
        """Waits until its log holds a text."""
        until = time.monotonic() + seconds
        while text not in self.log.read_text(errors="replace"):
            assert time.monotonic() < until, f"{self.name} never said {text!r}: {self.log.read_text()[-3000:]}"
            await asyncio.sleep(0.05)

    def is_ready(self) -> bool:
        """Whether it says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return bool(json.load(answer)["ready"])
        except (OSError, ValueError):
            return False


@dataclass(slots=True)
class Deployment:
    """Herald on a real Kafka, in processes."""

    bootstrap_servers: str
    prefix: str
    folder: Path
    partitions: int = 6
    env: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    login: dict[str, Any] = field(default_factory=dict)
    """Settings of the tests' own clients, where Kafka asks who is there."""

    @property
    def connection(self) -> Connection:
        """A client's way in."""
        settings = {"bootstrap_servers": self.bootstrap_servers, "topic_prefix": self.prefix}
        return Connection(KafkaSettings(**(settings | self.login)))

    async def prepare(self, registry: Registry) -> None:
        """Makes topics and applies a registry."""
        await provision(self.connection, self.partitions, registry)
        await publish(self.connection, registry, SystemClock().now())

    def start(self, *names: str, **hurt: str) -> list[Process]:
        """Starts services; returns the new processes. `hurt`: from within, as tests.chaos.hurt says."""
        started = []
        for name in names or ALL:
            port, log = free(), self.folder / f"{name}-{len(self.processes)}.log"
            env = {
                **os.environ,
                "HERALD_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
                "HERALD_KAFKA__TOPIC_PREFIX": self.prefix,
                "HERALD_PARTITIONS": str(self.partitions),
                "HERALD_HTTP_PORT": str(port),
                **{f"HERALD_TEST_{what.upper()}": how for what, how in hurt.items()},
                **self.env,
            }
            module = ["tests.chaos.hurt", name] if hurt else [f"services.{name}"]
            with log.open("wb") as out:
                popen = subprocess.Popen(tied([sys.executable, "-m", *module]), stdout=out, stderr=out, env=env)
            started.append(Process(name, popen, port, log))
        self.processes += started
        return started

    async def ready(self, *processes: Process, seconds: float = 180) -> None:
        """Waits until they are ready; fails with the log of one that is not."""
        until = time.monotonic() + seconds
        for process in processes or self.processes:
            while not await asyncio.to_thread(process.is_ready):
                assert process.popen.poll() is None, process.log.read_text()[-3000:]
                assert time.monotonic() < until, process.log.read_text()[-3000:]
                await asyncio.sleep(0.1)

    def stop(self) -> None:
        """Ends every process that is still there."""
        for process in self.processes:
            if process.popen.poll() is None:
                process.signal(signal.SIGCONT)
                process.signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.popen.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()

    async def read(self, name: str, partitions: int = 1, *, only: int | None = None) -> list[Any]:
        """Every committed record of a topic, partition by partition, or of one partition."""
        consumer = self.connection.consumer(fetch_max_wait_ms=50)
        await consumer.start()
        try:
            found = []
            for partition in range(partitions) if only is None else [only]:
                source = TopicPartition(self.connection.topic(name), partition)
                consumer.assign([source])
                await consumer.seek_to_beginning(source)
                end = (await consumer.end_offsets([source]))[source]
                while await consumer.position(source) < end:
                    found += (await consumer.getmany(source, timeout_ms=200)).get(source, [])
            return found
        finally:
            await consumer.stop()

    async def events(self, name: str, partitions: int = 1) -> list[dict[str, Any]]:
        """The same as decoded events."""
        return [json.loads(record.value) for record in await self.read(name, partitions)]

    async def settled(self, name: str, count: int, partitions: int = 1, seconds: float = 180) -> list[dict[str, Any]]:
        """Waits until a topic holds so many events, or the time is up; returns what it holds."""
        until = time.monotonic() + seconds
        while True:
            found = await self.events(name, partitions)
            if len(found) >= count or time.monotonic() > until:
                return found
            await asyncio.sleep(0.2)
