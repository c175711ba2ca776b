"""What more live windows cost: `windows` restarted on 1,000 to 100,000 of them, and given as many events each time."""

import asyncio
import random
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tests.bench import material, usage
from tests.bench.restoring import fill, live
from tests.bench.throughput import at_the_end, rate_of
from tests.broker.deployment import Deployment, Process

WARM_UP, EVENTS = 400, 4_000
MOVED = 1_000
"""So many windows are given events, however many there are: what the first of each costs weighs the same everywhere."""

SEED = 20270301


@dataclass(frozen=True, slots=True)
class Turn:
    """One restart: seconds to restore, bytes of memory then, and milliseconds of a core for an event."""

    restore: float
    memory: int
    cpu: float


class Growing:
    """So many live windows in one shard."""

    def __init__(self, count: int, bootstrap: str, prefix: str, folder: Path) -> None:
        self._count = count
        self._deployment = Deployment(bootstrap, prefix, folder, partitions=1)
        self._keys: list[bytes] = []
        self._random = random.Random(SEED)
        self._given = 0

    async def prepare(self) -> None:
        """Writes the state, as it would stand there."""
        await self._deployment.prepare(material.registry(1))
        states = live(self._count)
        self._keys = [state.key for state in states][:: max(1, self._count // MOVED)]
        await fill(self._deployment.connection, states)

    async def run(self) -> Turn:
        """Starts the service, and gives it events on windows all over its state."""
        (process,) = self._deployment.start("windows")
        try:
            await self._deployment.ready(process)
            consumer = await at_the_end(self._deployment, ["windows"], 1)
            try:
                await self._give(WARM_UP)  # what it still does for having been started is no event's cost
                await rate_of(consumer, WARM_UP)
                restore, memory = await asyncio.to_thread(_restore_seconds, process), usage.memory(process.popen.pid)
                before = usage.cpu_seconds(process.popen.pid)
                await self._give(EVENTS)
                await rate_of(consumer, EVENTS)
                cpu = usage.cpu_seconds(process.popen.pid) - before
            finally:
                await consumer.stop()
            return Turn(restore, memory, 1000 * cpu / EVENTS)
        finally:
            self._deployment.stop()

    async def _give(self, count: int) -> None:
        """Statements that move windows: those of one release, told of others."""
        revised = material.records("announcements", 2)[1]
        producer = self._deployment.connection.producer(max_batch_size=128 * 1024, linger_ms=5)
        await producer.start()
        try:
            topic, sent = self._deployment.connection.topic("announcements"), []
            for key in self._random.choices(self._keys, k=count):
                self._given += 1
                event_id = UUID(int=self._given)
                value = material.renamed(revised, key, event_id)
                sent.append(await producer.send(topic, value, key=key, partition=0))
            await asyncio.gather(*sent)
        finally:
            await producer.stop()


def _restore_seconds(process: Process) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/metrics", timeout=30) as answer:
        said = answer.read().decode()
    return float(said.partition("\nherald_restore_seconds_sum ")[2].split()[0])
