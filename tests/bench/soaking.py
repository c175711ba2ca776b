"""Every service under a steady load for a long time: what grows, and how fast.

Herald's time runs so fast that a release's whole life, and what is kept of it for 30 days more, is over many times
within the run: state is steady then, and what still grows is a leak.
"""

import asyncio
import json
import re
import statistics
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.kernel.clock import Clock
from tests.bench import material, usage
from tests.bench.lifetimes import CYCLE, Lifetimes
from tests.bench.throughput import at_the_end
from tests.broker import clocks
from tests.broker.deployment import Deployment, Process

FIRST, BURST = 100, 1_000
"""Releases that are known from the start, and statements on them at once, by which the capacity is found."""

SHARE = 5
"""The load is this part of it."""

CYCLES, A_LIFE, FEWEST = 8, 40, 6
"""Lives of a release in a run, statements in each, and releases at least: with fewer, none may be in time."""

AGENCIES = 3
ANSWERS = "agency-0"
"""The agency that answers every other alert that asks. The others are silent, and chased."""

BEAT_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS = 0.1, 5.0, 300.0
WARM_UP = 5
"""This part of the time does not count: state fills up, and processes meet each thing for the first time."""

_KEYS = re.compile(r"^herald_keys\{.*\} (\S+)$", re.MULTILINE)


def _keys(process: Process) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/metrics", timeout=30) as answer:
        return sum(map(float, _KEYS.findall(answer.read().decode())))


LOOKS: dict[str, Callable[[Process], float]] = {
    "memory, MiB": lambda process: usage.memory(process.popen.pid) / 2**20,
    "handles": lambda process: usage.handles(process.popen.pid),
    "threads": lambda process: usage.threads(process.popen.pid),
    "connections": lambda process: usage.connections(process.popen.pid),
    "keys": _keys,
}
"""What is looked at. A producer that is left behind keeps its connections; keys that grow explain memory that does.

Keys come last: asking for them is a connection and a thread, which would be seen.
"""


@dataclass(slots=True)
class Soaked:
    """Statements a second: all that goes, and the load. And (seconds, value), by process and what is looked at."""

    capacity: float = 0.0
    rate: float = 0.0
    releases: int = 0
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
    """Statements of one lab, how many of them an agency has been told of, and what that agency answers."""

    def __init__(self, deployment: Deployment, producer: AIOKafkaProducer, reader: AIOKafkaConsumer) -> None:
        self._connection = deployment.connection
        self._producer = producer
        self._reader = reader
        self._latest: dict[str, int] = {}
        self.said = 0

    @property
    def told(self) -> int:
        """Each statement is a revision; of one that comes too late nobody is told until the next on its release."""
        return sum(self._latest.values())

    async def say(self, release: int, out_at: datetime = material.FAR) -> None:
        """One more."""
        value = material.statement(self.said, 1, release, out_at=out_at)
        await self._producer.send(self._connection.topic(f"releases.{material.LAB}"), value, key=b"k")
        self.said += 1

    async def all_told(self) -> None:
        """Waits for the alerts of all of them. Raises TimeoutError."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.told < self.said:
            if time.monotonic() > until:
                raise TimeoutError(f"an agency was told of {self.told} of {self.said} statements")
            await self.hear(200)

    async def hear(self, milliseconds: int) -> None:
        """Takes alerts that have come."""
        for records in (await self._reader.getmany(timeout_ms=milliseconds)).values():
            for record in records:
                alert = json.loads(record.value)["data"]
                release = alert["release_id"]
                self._latest[release] = max(self._latest.get(release, 0), alert["revision"])
                if "asks" in alert and alert["sequence"] % 2:
                    await self._answer(alert)

    async def _answer(self, alert: dict[str, Any]) -> None:
        data = {"alert_id": alert["alert_id"], "release_id": alert["release_id"], "disposition": "received"}
        event = {"specversion": "1.0", "id": alert["alert_id"], "type": "herald.acknowledgement.submitted.v1"}
        value = json.dumps(event | {"source": f"/agencies/{ANSWERS}", "data": data}).encode()
        await self._producer.send(self._connection.topic(f"acks.{ANSWERS}"), value, key=b"k")


async def run(minutes: float, say: Callable[[str], None], bootstrap: str, prefix: str, folder: Path) -> Soaked:
    """Finds the capacity, and holds a part of it for so long."""
    cycle_seconds = minutes * 60 / CYCLES
    env, clock = clocks.since(datetime.now(UTC), rate=CYCLE.total_seconds() / cycle_seconds)
    deployment, found = Deployment(bootstrap, prefix, folder, env=env), Soaked()
    await deployment.prepare(material.registry(AGENCIES))
    deployment.start()
    try:
        await deployment.ready()
        async with deployment.connection.producer() as producer:
            reader = await at_the_end(deployment, [f"alerts.{ANSWERS}"], 1)
            try:
                load = _Load(deployment, producer, reader)
                await _capacity(load, found)
                found.releases = max(FEWEST, round(found.rate * cycle_seconds / A_LIFE))
                said = f"{found.rate:,.1f}/s on {found.releases} releases for {minutes:g} minutes"
                say(f"soak: {found.capacity:,.0f} statements/s go; {said}, each forgotten {cycle_seconds:.0f} s on")
                await _hold(deployment, load, found, clock, minutes * 60, say)
                for release in range(found.releases):  # far from its end, so that an alert follows for certain
                    await load.say(release)
                await load.all_told()
            finally:
                await reader.stop()
    finally:
        deployment.stop()
    return found


async def _capacity(load: _Load, found: Soaked) -> None:
    for release in range(FIRST):
        await load.say(release)
    await load.all_told()
    began = time.monotonic()
    for number in range(BURST):
        await load.say(number % FIRST)
    await load.all_told()
    found.capacity = BURST / (time.monotonic() - began)
    found.rate = found.capacity / SHARE


async def _hold(
    deployment: Deployment, load: _Load, found: Soaked, clock: Clock, seconds: float, say: Callable[[str], None]
) -> None:
    began, before, look, word = time.monotonic(), load.said, 0.0, 60.0
    lifetimes = Lifetimes(found.releases)
    while (passed := time.monotonic() - began) < seconds:
        while load.said < before + int(passed * found.rate):
            await load.say(*lifetimes.next(clock.now()))
        await load.hear(int(BEAT_SECONDS * 1000))
        if passed >= look:
            look = passed + LOOK_SECONDS
            for process in deployment.processes:
                for what, measure in LOOKS.items():
                    value = await asyncio.to_thread(measure, process)
                    found.seen[process.name, what].append((passed, value))
        if passed >= word:
            word += 60
            say(f"soak: minute {passed / 60:.0f}, {load.said - load.told} statements under way")
