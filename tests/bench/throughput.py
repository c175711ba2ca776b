"""How fast one process works off a backlog: a Herald service beside the bare engine on the same records."""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from aiokafka import TopicPartition

from services.embedded.lifeline import tied
from services.kernel.ledger import Output
from tests.bench import material
from tests.broker.deployment import Deployment

PARTITIONS = 6
SECONDS = 180


@dataclass(frozen=True, slots=True)
class Race:
    """One hop: `count` records of `reads`, each written to `writes`, or to the own topic of every agency."""

    name: str
    service: str
    reads: str
    writes: str
    count: int
    agencies: int = 1

    @property
    def targets(self) -> list[str]:
        """The topics that each record reaches."""
        return [self.writes.format(agency=f"agency-{number}") for number in range(self.agencies)]


RACES = (
    Race("backlog of announcements", "announcements", "releases", "announcements", 20_000),
    Race("fan-out to 8 agencies", "notifier", "windows", "alerts.{agency}", 2_000, 8),
    Race("fan-out to 100 agencies", "notifier", "windows", "alerts.{agency}", 200, 100),
)


async def run(race: Race, who: str, bootstrap: str, prefix: str, folder: Path, records: list[Output]) -> float:
    """Events a second, by the append times of what one contestant has written. `who`: `herald`, `raw`."""
    deployment = Deployment(bootstrap, prefix, folder, partitions=PARTITIONS)
    await deployment.prepare(material.registry(race.agencies))
    await fill(deployment, race.reads, records)
    process = deployment.start(race.service)[0].popen if who == "herald" else _raw(race, deployment)
    try:
        return await rate(deployment, race) / race.agencies
    finally:
        process.kill()
        process.wait()


def _raw(race: Race, deployment: Deployment) -> subprocess.Popen[bytes]:
    topics = [deployment.connection.topic(name) for name in (race.reads, *race.targets)]
    command = [sys.executable, "-m", "tests.bench.raw", deployment.bootstrap_servers, str(PARTITIONS), *topics]
    return subprocess.Popen(tied(command))


async def fill(deployment: Deployment, topic: str, records: list[Output]) -> None:
    """Writes what the contestants read."""
    producer = deployment.connection.producer(max_batch_size=128 * 1024, linger_ms=5)
    await producer.start()
    try:
        target = deployment.connection.topic(topic)
        await asyncio.gather(*[await producer.send(target, key=o.key, value=o.value) for o in records])
    finally:
        await producer.stop()


async def rate(deployment: Deployment, race: Race) -> float:
    """Records a second of what is written to the targets of the race, once all of it is there."""
    consumer, count = deployment.connection.consumer(), race.count * race.agencies
    await consumer.start()
    partitions = PARTITIONS if race.agencies == 1 else 1
    topics = [deployment.connection.topic(name) for name in race.targets]
    consumer.assign([TopicPartition(topic, number) for topic in topics for number in range(partitions)])
    stamps: list[int] = []
    until = time.monotonic() + SECONDS
    try:
        while len(stamps) < count:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(stamps)} of {count} within {SECONDS} s")
            for records in (await consumer.getmany(timeout_ms=500)).values():
                stamps += [record.timestamp for record in records]
    finally:
        await consumer.stop()
    stamps.sort()
    # From the first transaction on: how long a process takes to start is not the question here.
    after_first = count - stamps.count(stamps[0])
    return after_first / ((stamps[-1] - stamps[0]) / 1000)
