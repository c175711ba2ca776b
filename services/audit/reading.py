"""Reads everything that an audit needs, from the topics' beginnings to their ends as they were when it began."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any

from services.audit.record import READ, Topics
from services.kernel.clock import Clock
from services.kernel.connection import Connection

Progress = Callable[[int, int], None]
"""Told how much of how much is done."""


class NothingToAudit(Exception):
    """A topic that must be there is missing, or is hidden from this user; one line for people."""


async def read(connection: Connection, clock: Clock, progress: Progress | None = None) -> Topics:
    """The committed records of all topics that the audit derives from."""
    topics = Topics()
    async for name, record in records(connection, READ, ("alerts.", "receipts."), clock, topics.whole_since, progress):
        at = clock.at(record.timestamp)
        topics.take(name, record.partition, record.offset, record.timestamp, at, record.key, record.value)
    return topics


async def records(
    connection: Connection,
    names: Sequence[str],
    families: tuple[str, ...],
    clock: Clock,
    whole_since: Callable[[str, datetime], None] = lambda name, instant: None,
    progress: Progress | None = None,
) -> AsyncIterator[tuple[str, Any]]:
    """The committed records of topics and of families of topics, with the topics' names of the contract.

    `whole_since` is told of each partition whose beginning retention has taken. Raises NothingToAudit.
    """
    consumer = connection.consumer(fetch_max_wait_ms=50)
    await consumer.start()
    try:
        wanted = _wanted(connection, names, families, {connection.logical(name) for name in await consumer.topics()})
        consumer.subscribe([connection.topic(name) for name in wanted])
        while {source.topic for source in consumer.assignment()} != {connection.topic(name) for name in wanted}:
            await consumer.getmany(timeout_ms=20)  # what comes so early comes again
        sources = sorted(consumer.assignment())
        ends, firsts = await consumer.end_offsets(sources), await consumer.beginning_offsets(sources)
        await consumer.seek_to_beginning(*sources)
        cut = {source for source in sources if firsts[source] > 0}
        left = {source for source in sources if ends[source] > firsts[source]}
        for source in cut - left:
            whole_since(connection.logical(source.topic), clock.now())
        consumer.pause(*(source for source in sources if source not in left))
        total = sum(ends[source] - firsts[source] for source in left)
        while left:
            for source, batch in (await consumer.getmany(timeout_ms=200)).items():
                name = connection.logical(source.topic)
                if source in cut:
                    cut.discard(source)
                    whole_since(name, clock.at(batch[0].timestamp))
                for record in batch:
                    if record.offset < ends[source]:
                        yield name, record
            behind = {source: ends[source] - await consumer.position(source) for source in left}
            if read_whole := {source for source, count in behind.items() if count <= 0}:
                left -= read_whole
                consumer.pause(*read_whole)
            if progress is not None:
                progress(total - sum(max(count, 0) for count in behind.values()), total)
    finally:
        await consumer.stop()


def _wanted(connection: Connection, names: Sequence[str], families: tuple[str, ...], there: set[str]) -> list[str]:
    for name in names:
        if name not in there:
            said = "`herald provision` makes it, and lets service.audit read it"
            raise NothingToAudit(f"topic {connection.topic(name)} is not there, or not for this user: {said}")
    return sorted(name for name in there if name in names or name.startswith(families))
