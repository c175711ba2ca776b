"""Every service under a steady load for a long time: what grows, and how fast."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.bench import material, usage
from tests.bench.throughput import at_the_end
from tests.broker.deployment import Deployment

BURST = 1_000
"""Statements at once, by which the capacity is found."""

SHARE = 5
"""The load is this part of it."""

RELEASES, AGENCIES = 100, 3
BEAT_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS = 0.1, 5.0, 300.0
WARM_UP = 5
"""This part of the time does not count: processes grow while they meet each thing for the first time."""

LOOKS: dict[str, Callable[[int], float]] = {
    "memory, MiB": lambda pid: usage.memory(pid) / 2**20,
    "handles": usage.handles,
    "threads": usage.threads,
    "connections": usage.connections,
}
"""What is looked at, of a process. A producer that is left behind keeps its connections."""


@dataclass(slots=True)
class Soaked:
    """Statements a second: all that goes, and the load. And (seconds, value), by process and what is looked at."""

    capacity: float = 0.0
    rate: float = 0.0
    seen: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def slopes(self) -> dict[tuple[str, str], tuple[float, float]]:
        """How much each grows in an hour, and its mean."""
        found = {}
        for what, looks in self.seen.items():
            times, values = zip(*looks[len(looks) // WARM_UP :], strict=True)
            slope = statistics.linear_regression(times, values).slope
            found[what] = slope * 3600, statistics.mean(values)
        return found


class _Load:
    """Statements of one lab, and how many of them an agency has been told of."""

    def __init__(self, deployment: Deployment, producer: AIOKafkaProducer, reader: AIOKafkaConsumer) -> None:
        self._topic = deployment.connection.topic(f"releases.{material.LAB}")
        self._producer = producer
        self._reader = reader
        self.said = self.told = 0

    async def say(self, count: int) -> None:
        """So many more."""
        for number in range(self.said, self.said + count):
            await self._producer.send(self._topic, material.statement(number, RELEASES), key=b"k")
        self.said += count

    async def all_told(self) -> None:
        """Waits for the alerts of all of them. Raises TimeoutError."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.told < self.said:
            if time.monotonic() > until:
                raise TimeoutError(f"an agency was told {self.told} times of {self.said} statements")
            await self.hear(200)

    async def hear(self, milliseconds: int) -> None:
        """Takes alerts that have come."""
        for records in (await self._reader.getmany(timeout_ms=milliseconds)).values():
            self.told += len(records)


async def run(minutes: float, say: Callable[[str], None], bootstrap: str, prefix: str, folder: Path) -> Soaked:
    """Finds the capacity, and holds a part of it for so long."""
    deployment, found = Deployment(bootstrap, prefix, folder), Soaked()
    await deployment.prepare(material.registry(AGENCIES))
    deployment.start()
    try:
        await deployment.ready()
        async with deployment.connection.producer() as producer:
            reader = await at_the_end(deployment, ["alerts.agency-0"], 1)
            try:
                load = _Load(deployment, producer, reader)
                await load.say(RELEASES)
                await load.all_told()
                began = time.monotonic()
                await load.say(BURST)
                await load.all_told()
                found.capacity = BURST / (time.monotonic() - began)
                found.rate = found.capacity / SHARE
                say(f"soak: {found.capacity:,.0f} statements/s go; {found.rate:,.1f}/s for {minutes:g} minutes")
                await _hold(deployment, load, found, minutes * 60, say)
                await load.all_told()
            finally:
                await reader.stop()
    finally:
        deployment.stop()
    return found


async def _hold(deployment: Deployment, load: _Load, found: Soaked, seconds: float, say: Callable[[str], None]) -> None:
    began, before, look, word = time.monotonic(), load.said, 0.0, 60.0
    while (passed := time.monotonic() - began) < seconds:
        await load.say(before + int(passed * found.rate) - load.said)
        await load.hear(int(BEAT_SECONDS * 1000))
        if passed >= look:
            look = passed + LOOK_SECONDS
            for process in deployment.processes:
                for what, measure in LOOKS.items():
                    found.seen[process.name, what].append((passed, measure(process.popen.pid)))
        if passed >= word:
            word += 60
            say(f"soak: minute {passed / 60:.0f}, {load.said - load.told} statements under way")
