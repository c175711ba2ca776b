"""Reads what the topics tell of a drill: as it happens, or afterwards."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer

from schemas.alert import AlertIssued
from services.cli import reading
from services.cli.drill_fold import TOPICS, Readiness
from services.cli.drill_plan import Held, begun_at, word_in
from services.kernel.clock import EPOCH
from services.kernel.connection import Connection
from services.kernel.settings import SettingsError

_BROKERS_DIFFER = timedelta(minutes=1)
"""So far apart brokers' clocks may be: what followed from a record may bear an earlier time."""


@asynccontextmanager
async def from_now_on(connection: Connection) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer at the ends of the topics. Raises SettingsError where one is missing."""
    consumer = connection.consumer(fetch_max_wait_ms=100)
    topics = [connection.topic(name) for name in TOPICS]
    await consumer.start()
    try:
        if missing := sorted(set(topics) - await consumer.topics()):
            raise SettingsError(
                f"topic {missing[0]} is not there, or not for this user: `herald registry apply FILE` makes it, "
                "and `herald provision` lets the operator read it"
            )
        consumer.subscribe(topics)
        while {source.topic for source in consumer.assignment()} != set(topics):
            await consumer.getmany(timeout_ms=20)
        for source, end in (await consumer.end_offsets(consumer.assignment())).items():
            consumer.seek(source, end)
        yield consumer
    finally:
        await asyncio.shield(consumer.stop())


async def more(consumer: AIOKafkaConsumer, connection: Connection, readiness: Readiness) -> list[AlertIssued]:
    """Takes what has come, waiting a moment; returns each agency's first alert, where that is among it."""
    alerts = []
    for source, batch in (await consumer.getmany(timeout_ms=200)).items():
        for record in batch:
            alert = readiness.take(connection.logical(source.topic), record.value, record.timestamp)
            alerts += [alert] if alert is not None else []
    return alerts


async def rest(consumer: AIOKafkaConsumer, connection: Connection, readiness: Readiness) -> None:
    """Takes all that stands there by now: topics have no order between them."""
    ends: dict[Any, int] = await consumer.end_offsets(consumer.assignment())
    while any([await consumer.position(source) < end for source, end in ends.items()]):
        await more(consumer, connection, readiness)


async def afterwards(connection: Connection, readiness: Readiness) -> None:
    """Takes all that the topics hold of a drill that was."""
    since = EPOCH + timedelta(milliseconds=readiness.drill.real_ms) - _BROKERS_DIFFER

    async def whole(topic: str) -> None:
        async for record in reading.records(connection, topic, since=since):
            readiness.take(topic, record.value, record.timestamp)

    await asyncio.gather(*map(whole, TOPICS))


async def latest(connection: Connection, lab: str) -> Held | None:
    """The last drill that a lab has announced, as far as `windows` tells."""
    found: Held | None = None
    async for record in reading.records(connection, "windows"):
        window = json.loads(record.value)["data"]["window"]
        statement: dict[str, Any] = window["statement"]
        begun: datetime | None = begun_at(statement["reference"])
        if begun is None or window["lab"] != lab or not window["exercise"]:
            continue
        if found is None or begun > found.begun_at:
            agencies = tuple(statement["audience"].get("agencies", ()))
            word = word_in(statement.get("handling"))
            reference, release_id = statement["reference"], window["release_id"]
            found = Held(lab, reference, release_id, agencies, begun, word, record.timestamp)
    return found


@contextmanager
def interruptible() -> Iterator[asyncio.Event]:
    """Set once somebody wants an end (Ctrl-C, SIGTERM), which then does not come by itself."""
    loop, wanted = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, wanted.set)
    try:
        yield wanted
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
