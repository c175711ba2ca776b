"""How fast a state partition is read back: the kernel's restore beside `getmany` alone, on the same records."""

import asyncio
import re
import time
from pathlib import Path

from aiokafka import TopicPartition

from services.kernel.collecting import collect_less_often, uncollected
from services.kernel.connection import Connection
from services.kernel.state import restore
from services.windows.app import SERVICE
from tests.bench import material
from tests.broker.deployment import Deployment

COUNT = 20_000
TURNS = 2
"""A round: each is over in a second."""

TOPIC = SERVICE.state_topic


async def run(bootstrap: str, prefix: str, folder: Path, turns: int) -> tuple[list[float], list[float]]:
    """Records a second of each turn: of the restore, and of `getmany`."""
    collect_less_often()  # as every service does
    deployment = Deployment(bootstrap, prefix, folder, partitions=1)
    await deployment.prepare(material.registry(1))
    await fill(deployment.connection, live(COUNT))
    ours, theirs = [], []
    for _ in range(turns):
        theirs.append(COUNT / await _getmany(deployment.connection))
        began = time.perf_counter()
        with uncollected():
            restored = await restore(deployment.connection, TOPIC, 0, SERVICE.state)
        ours.append(COUNT / (time.perf_counter() - began))
        if len(restored.states) != COUNT:
            raise RuntimeError(f"{len(restored.states)} of {COUNT} states were restored")
    return ours, theirs


def live(count: int) -> list[tuple[bytes, bytes]]:
    """So many live windows as `windows` keeps them, with their keys: one that its decider made, under other names."""
    key, value = material.state(SERVICE)
    name = re.compile(re.escape(key))
    keys = (b"00000000-0000-5000-8000-%012x" % number for number in range(count))
    return [(one, name.sub(one, value)) for one in keys]


async def fill(connection: Connection, states: list[tuple[bytes, bytes]]) -> None:
    """Writes states into the partition."""
    producer = connection.producer(max_batch_size=128 * 1024, linger_ms=5)
    await producer.start()
    try:
        topic = connection.topic(TOPIC)
        await asyncio.gather(*[await producer.send(topic, key=k, value=v, partition=0) for k, v in states])
    finally:
        await producer.stop()


async def _getmany(connection: Connection) -> float:
    """Seconds to read the partition to its end, with a consumer as the restore has it."""
    began = time.perf_counter()
    source = TopicPartition(connection.topic(TOPIC), 0)
    async with connection.consumer(fetch_max_wait_ms=50) as consumer:
        consumer.assign([source])
        await consumer.seek_to_beginning(source)
        end = (await consumer.end_offsets([source]))[source]
        while await consumer.position(source) < end:
            await consumer.getmany(source, timeout_ms=100)
    return time.perf_counter() - began
