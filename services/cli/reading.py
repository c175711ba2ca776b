"""Reads topics as a person wants them: from the beginning or a point in time, to the end or on and on."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from aiokafka import TopicPartition

from schemas.values import Duration, Instant, Strict
from services.kernel.clock import EPOCH
from services.kernel.connection import Connection
from services.kernel.settings import SettingsError

Since = Annotated[str | None, typer.Option(help="From this instant on, or so long ago: 2027-03-01T00:00:00Z, P1D.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")]


class _When(Strict):
    at: Instant | Duration


def point(since: str | None, now: datetime) -> datetime | None:
    """The instant that `--since` means. Raises SettingsError naming what would be right."""
    if since is None:
        return None
    try:
        found = _When.model_validate_json(json.dumps({"at": since})).at
    except ValueError:
        raise SettingsError(f"--since {since}: write a time with a zone or a duration, such as P1D or PT4H") from None
    return now - found if isinstance(found, timedelta) else found


async def records(
    connection: Connection, name: str, *, since: datetime | None = None, follow: bool = False
) -> AsyncIterator[Any]:
    """The committed records of a topic, by partition; with `follow`, for ever. `since` is real time."""
    topic = connection.topic(name)
    consumer = connection.consumer()
    try:
        await consumer.start()
        if topic not in await consumer.topics():
            raise SettingsError(
                f"topic {topic} is not there, or not for this user: `herald registry apply FILE` makes it"
            )
        consumer.subscribe([topic])
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=20)
        sources = sorted(consumer.assignment())
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


async def _place(consumer: Any, source: TopicPartition, since: datetime | None) -> None:
    if since is None:
        await consumer.seek_to_beginning(source)
        return
    milliseconds = int((since - EPOCH) / timedelta(milliseconds=1))
    found = (await consumer.offsets_for_times({source: milliseconds}))[source]
    if found is None:
        await consumer.seek_to_end(source)
    else:
        consumer.seek(source, found.offset)
