"""The committed records of one topic, from the beginning or a point in time, to the end or on and on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from aiokafka import TopicPartition

from services.kernel.clock import EPOCH
from services.kernel.connection import Connection
from services.kernel.settings import SettingsError


async def records(
    connection: Connection,
    name: str,
    *,
    since: datetime | None = None,
    follow: bool = False,
    remedy: str = "`herald registry apply FILE` makes it",
) -> AsyncIterator[Any]:
    """The committed records of a topic, by partition; with `follow`, for ever. `since` is real time.

    Raises KafkaError, and SettingsError with the remedy where the topic is missing or may not be read.
    """
    topic = connection.topic(name)
    consumer = connection.consumer()
    try:
        await consumer.start()
        if topic not in await consumer.topics():
            raise SettingsError(f"topic {topic} is not there, or not for this user: {remedy}")
        consumer.subscribe([topic])
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=20)
        sources = sorted(consumer.assignment())
        if since is None:
            await consumer.seek_to_beginning(*sources)
        else:
            for source in sources:
                await _place(consumer, source, since)
        ends = await consumer.end_offsets(sources)
        while follow or any([await consumer.position(source) < ends[source] for source in sources]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                for record in batch:
                    if follow or record.offset < ends[TopicPartition(record.topic, record.partition)]:
                        yield record
    finally:
        await asyncio.shield(consumer.stop())


async def _place(consumer: Any, source: TopicPartition, since: datetime) -> None:
    milliseconds = int((since - EPOCH) / timedelta(milliseconds=1))
    found = (await consumer.offsets_for_times({source: milliseconds}))[source]
    if found is None:
        await consumer.seek_to_end(source)
    else:
        consumer.seek(source, found.offset)
