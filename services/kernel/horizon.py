"""How far a shard's inputs are known: what has been given to it, and what stands in the log beyond that.

A timer fires, and a record that must wait for other inputs is decided, only once nothing that comes before can still
arrive. "Stands in the log" counts uncommitted records too: a withdrawal that is being committed comes first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol

from aiokafka import TopicPartition

from services.kernel.clock import Clock
from services.kernel.inbox import Inbox, Item

POLL_SECONDS = 0.005
"""How often a shard looks again while it waits for records that it knows to stand in the log."""

LogEnds = Callable[[list[TopicPartition]], Awaitable[tuple[dict[Any, int], dict[Any, int]]]]
"""The first offsets of partitions, and their ends with uncommitted records."""


class Source(Protocol):
    """What a shard needs of the consumer that feeds it."""

    async def position(self, partition: TopicPartition) -> int:
        """The offset of the next record that will be given."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Goes on from there."""
        ...

    def pause(self, *partitions: TopicPartition) -> None:
        """Gives nothing of these for now."""
        ...

    def resume(self, *partitions: TopicPartition) -> None:
        """Gives again."""
        ...


class Horizon:
    """What one shard knows of its inputs."""

    def __init__(self, sources: dict[str, TopicPartition], consumer: Source, log_ends: LogEnds, clock: Clock) -> None:
        self._sources = sources
        self._consumer = consumer
        self._log_ends = log_ends
        self._clock = clock
        self._ends: dict[str, int] = {}
        self._given: dict[str, int] = {}
        self._cleared: dict[str, int] = {}
        self._looked_at: datetime | None = None

    def is_complete_until(self, instant: datetime, inbox: Inbox) -> bool:
        """Whether every record appended before this instant has been given."""
        looked = self._looked_at is not None and self._looked_at >= instant
        return all(
            (looked and self._given[topic] >= self._ends[topic])
            or ((latest := inbox.lanes[topic].latest) is not None and latest >= instant)
            for topic in self._sources
        )

    def was_given_before_the_last_look(self, item: Item) -> bool:
        """Whether the other inputs' ends were learnt after this record was taken."""
        return self._cleared.get(item.topic, 0) > item.offset

    def stood_at_the_last_look(self, item: Item) -> bool:
        """Whether this record lies before the end that was learnt of its input."""
        return item.offset < self._ends[item.topic]

    async def look(self, inbox: Inbox, stopping: Callable[[], bool]) -> None:
        """Learns how far the inputs reach, and waits until all of that has been given, or a lane is full."""
        asked_at, given = self._clock.now(), await self._positions()
        _, ends = await self._log_ends(list(self._sources.values()))
        self._ends = {topic: ends[source] for topic, source in self._sources.items()}
        while not stopping():
            self._given = await self._positions()
            behind = [topic for topic, end in self._ends.items() if self._given[topic] < end]
            # A full lane is paused: what it holds is enough to go on with.
            if all(inbox.lanes[topic].full for topic in behind):
                break
            await asyncio.sleep(POLL_SECONDS)
        self._looked_at, self._cleared = asked_at, given

    async def _positions(self) -> dict[str, int]:
        return {topic: await self._consumer.position(source) for topic, source in self._sources.items()}
