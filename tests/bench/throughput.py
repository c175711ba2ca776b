"""How fast one process works off a backlog: a Herald service beside its peers on the same records."""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.embedded.lifeline import tied
from services.kernel.draft import Output
from tests.bench import material, usage
from tests.bench.bounds import HERALD, IDIOM, RAW
from tests.broker.deployment import Deployment

PARTITIONS = 6
"""A process decides for one shard while the transaction of another is written: one alone is slower."""

SECONDS = 180
IDIOM_COUNT = 1000
"""Messages of the idiom that are waited for: it is a hundred times slower than the others."""


@dataclass(frozen=True, slots=True)
class Race:
    """One hop: `count` records of `reads`, each written to `writes`, or to the own topic of every agency."""

    name: str
    service: str
    reads: str
    writes: str
    count: int
    agencies: int = 1
    peers: tuple[str, ...] = (RAW,)

    @property
    def targets(self) -> list[str]:
        """The topics that each record reaches."""
        return [self.writes.format(agency=f"agency-{number}") for number in range(self.agencies)]


BACKLOG = Race("backlog of announcements", "announcements", "releases", "announcements", 20_000, peers=(RAW, IDIOM))
FAN_OUTS = (
    Race("fan-out to 8 agencies", "notifier", "windows", "alerts.{agency}", 2_000, 8),
    Race("fan-out to 100 agencies", "notifier", "windows", "alerts.{agency}", 480, 100),
    Race("fan-out to 1,000 agencies", "notifier", "windows", "alerts.{agency}", 16, 1_000),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One contestant once: records a second, milliseconds of a core for one, MiB at its end, seconds to be ready."""

    rate: float
    cpu: float
    memory: float
    start: float


class Course:
    """What the contestants of a race share: topics, and each turn's records, which come on top of those before."""

    def __init__(
        self, race: Race, bootstrap: str, prefix: str, folder: Path, env: dict[str, str] | None = None
    ) -> None:
        """`env` is what Herald's service is told besides."""
        self.race = race
        self._deployment = Deployment(bootstrap, prefix, folder, partitions=PARTITIONS, env=env or {})
        self._offsets = [0] * PARTITIONS

    async def prepare(self) -> None:
        """Makes the topics."""
        await self._deployment.prepare(material.registry(self.race.agencies))

    async def fill(self, records: list[Output]) -> None:
        """The records of the next turn."""
        self._offsets = await self._ends()
        producer = self._deployment.connection.producer(max_batch_size=128 * 1024, linger_ms=5)
        await producer.start()
        try:
            target = self._deployment.connection.topic(self.race.reads)
            await asyncio.gather(*[await producer.send(target, key=o.key, value=o.value) for o in records])
        finally:
            await producer.stop()

    async def run(self, who: str) -> Turn:
        """Lets one contestant work off this turn's records."""
        race = self.race
        count = (IDIOM_COUNT if who == IDIOM else race.count) * race.agencies
        partitions = PARTITIONS if race.agencies == 1 else 1
        consumer = await at_the_end(self._deployment, race.targets, partitions)
        try:
            began = time.monotonic()
            process = await self._start(who)
            try:
                start, before = time.monotonic() - began, usage.cpu_seconds(process.pid)
                rate = await rate_of(consumer, count)
                spent = usage.cpu_seconds(process.pid) - before
                return Turn(
                    rate / race.agencies,
                    1000 * spent / (count / race.agencies),
                    usage.memory(process.pid) / 2**20,
                    start,
                )
            finally:
                process.terminate()  # killed, it would stay in its group, and the next turn wait for it
                await asyncio.to_thread(process.wait)
        finally:
            await consumer.stop()

    async def _ends(self) -> list[int]:
        connection = self._deployment.connection
        sources = [TopicPartition(connection.topic(self.race.reads), number) for number in range(PARTITIONS)]
        async with connection.consumer() as consumer:
            ends = await consumer.end_offsets(sources)
        return [ends[source] for source in sources]

    async def _start(self, who: str) -> subprocess.Popen[bytes]:
        """Starts a contestant, and waits until it is ready."""
        if who == HERALD:
            (process,) = self._deployment.start(self.race.service)
            await self._deployment.ready(process)
            return process.popen
        connection, race = self._deployment.connection, self.race
        source, *targets = [connection.topic(name) for name in (race.reads, *race.targets)]
        if who == IDIOM:
            given = ["tests.bench.idiom", f"{source}-idiom", source, *targets]
        else:
            given = ["tests.bench.raw", ",".join(map(str, self._offsets)), source, *targets]
        module, *arguments = given
        return await asyncio.to_thread(_peer, module, [self._deployment.bootstrap_servers, *arguments])


def _peer(module: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Starts a peer, and waits until it says that it is ready."""
    peer = subprocess.Popen(tied([sys.executable, "-m", module, *arguments]), stdout=subprocess.PIPE)
    assert peer.stdout is not None
    with peer.stdout as says:
        if says.readline() != b"ready\n":
            raise RuntimeError(f"{module} ended before it was ready")
    return peer


async def rate_of(consumer: AIOKafkaConsumer, count: int) -> float:
    """Records a second, by their append times."""
    stamps: list[int] = []
    until = time.monotonic() + SECONDS
    while len(stamps) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(stamps)} of {count} within {SECONDS} s")
        for records in (await consumer.getmany(timeout_ms=500)).values():
            stamps += [record.timestamp for record in records]
    stamps.sort()
    # From the first transaction on: how long a process takes to start is not the question here.
    after_first = len(stamps) - stamps.count(stamps[0])
    return 1000 * after_first / max(1, stamps[-1] - stamps[0])


async def at_the_end(deployment: Deployment, topics: list[str], partitions: int) -> AIOKafkaConsumer:
    """A reader of what will be written from now on."""
    connection = deployment.connection
    consumer = connection.consumer()
    await consumer.start()
    targets = [TopicPartition(connection.topic(topic), number) for topic in topics for number in range(partitions)]
    consumer.assign(targets)
    for target, end in (await consumer.end_offsets(targets)).items():
        consumer.seek(target, end)
    return consumer
