"""How fast a shard opens on what was kept: the kernel beside `getmany` alone, on the same records."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka import TopicPartition

from services.kernel.collecting import collect_less_often, uncollected
from services.kernel.connection import Connection
from services.kernel.draft import Output
from services.kernel.gauges import StateGauges
from services.kernel.ledger import Ledger
from services.kernel.state import restore
from services.windows.app import SERVICE
from services.windows.state import WindowState
from tests.bench import material
from tests.broker.deployment import Deployment

COUNT = 20_000
TURNS = 2
"""A round: each is over in a second."""

TOPIC = SERVICE.state_topic

OPENS = datetime(2099, 1, 17, tzinfo=UTC)
APART = timedelta(seconds=1)
_STEP = 7_919
"""A prime: keys do not come in the order in which they are due."""


async def run(bootstrap: str, prefix: str, folder: Path, turns: int) -> tuple[list[float], list[float]]:
    """Records a second of each turn: of all that an opening does with them, and of `getmany`."""
    collect_less_often()  # as every service does
    deployment = Deployment(bootstrap, prefix, folder, partitions=1)
    await deployment.prepare(material.registry(1))
    await fill(deployment.connection, live(COUNT))
    ours, theirs = [], []
    for _ in range(turns):
        theirs.append(COUNT / await _getmany(deployment.connection))
        ours.append(COUNT / await _opening(deployment.connection))
    return ours, theirs


def live(count: int, first: datetime = OPENS, apart: timedelta = APART) -> list[Output]:
    """So many live windows as `windows` keeps them: one that its decider made, under other names.

    They open one after the other, in another order than that of their keys.
    """
    made = material.state(SERVICE)
    if not isinstance(made, WindowState) or made.window is None:
        raise TypeError(f"windows keeps {made!r}")
    keys = [f"00000000-0000-5000-8000-{number:012x}" for number in range(count)]
    windows = (
        made.window.model_copy(update={"release_id": key, "opens_at": first + number * _STEP % count * apart})
        for number, key in enumerate(keys)
    )
    states = {key: made.model_copy(update={"window": window}) for key, window in zip(keys, windows, strict=True)}
    return material.kept(SERVICE, states)


async def fill(connection: Connection, states: list[Output]) -> None:
    """Writes states into the partition."""
    producer = connection.producer(max_batch_size=128 * 1024, linger_ms=5)
    await producer.start()
    try:
        topic = connection.topic(TOPIC)
        sent = [
            await producer.send(topic, key=one.key, value=one.value, headers=list(one.headers), partition=0)
            for one in states
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def _opening(connection: Connection) -> float:
    """Seconds until everything is there that a shard needs of its states: they, their timers, effects and gauges."""
    gauges = StateGauges()
    began = time.perf_counter()
    with uncollected():
        restored = await restore(connection, SERVICE, 0)
        ledger = Ledger(SERVICE, 0, restored)
    gauges.open(restored.parts)
    due = ledger.next_timer()
    took = time.perf_counter() - began
    gauges.close()
    if len(ledger.states) != COUNT or len(ledger.timers) != COUNT or due is None:
        raise RuntimeError(f"{len(ledger.states)} states and {len(ledger.timers)} timers of {COUNT} were restored")
    return took


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
