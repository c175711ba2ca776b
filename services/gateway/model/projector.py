"""Projects topics into the database, each record once: its rows and its position change in one transaction."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.registry import Registry
from schemas.watchdog import RESERVED
from services.gateway.model.projection import INTERNAL, Recorded, changes
from services.gateway.model.tables import POSITIONS
from services.kernel.connection import Connection
from services.kernel.observe import log

WAIT_MS = 500
AGAIN_SECONDS = 1.0
LOOK_SECONDS = 3.0
"""How soon a door that runs notices that its database was emptied."""

DEADLOCK = "40P01"
"""PostgreSQL's word for two who wait for each other: it has let the other one go on."""


class Overtaken(Exception):
    """Another process on the same database has projected these records already."""


class GoneBack(Exception):
    """The database knows less than it did: somebody has emptied it, or has restored an earlier copy."""


class Ahead(Exception):
    """The database has read more than a topic holds: topics were restored, or re-created. One line for people."""


class Projector:
    """Follows every topic of the read model. Any number of them may share a database."""

    def __init__(
        self, connection: Connection, engine: AsyncEngine, partitions: int, registry: Callable[[], Registry]
    ) -> None:
        self._connection = connection
        self._engine = engine
        self._partitions = partitions
        self._registry = registry
        self._consumer = connection.consumer(metadata_max_age_ms=5000)
        self._next: dict[TopicPartition, int] = {}
        self._changed = asyncio.Condition()
        self._is_applying = False
        self.problem: str | None = "starting"

    async def run(self) -> None:
        """Projects until it is cancelled. What goes wrong is tried again from what the database holds."""
        try:
            await self._consumer.start()
            while True:
                try:
                    await self._follow()
                except GoneBack:
                    self.problem = "the read model is being made anew"
                    log.info("read_model_has_gone_back")
                except Ahead as error:
                    self.problem = str(error)
                    log.error("read_model_is_ahead", problem=self.problem)
                    await asyncio.sleep(AGAIN_SECONDS)
                except (KafkaError, SQLAlchemyError, OSError) as error:
                    self.problem = f"{type(error).__name__}: projecting is tried again"
                    log.error("projection_fails", error=repr(error))
                    await asyncio.sleep(AGAIN_SECONDS)
        finally:
            await self._consumer.stop()

    async def has_read(self, source: TopicPartition, end: int) -> bool:
        """Whether all that stands before this offset can be looked at. Of what it does not follow it has read all."""
        if source not in self._consumer.assignment():
            return True
        position: int = await self._consumer.position(source)
        return position >= end and not self._is_applying

    async def changed(self, seconds: float) -> None:
        """Waits until something new was projected, at most so long."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                return

    async def _follow(self) -> None:
        """From the database's positions on, until something goes wrong."""
        followed: set[str] = set()
        ends: dict[TopicPartition, int] = {}
        look_at = time.monotonic() + LOOK_SECONDS
        while True:
            wanted = self._topics()
            if wanted != followed:
                ends = await self._begin(wanted)
                followed = wanted
            fetched = await self._consumer.getmany(timeout_ms=WAIT_MS)
            self._is_applying = True  # the position has moved on already
            for source, records in fetched.items():
                await self._apply(source, records)
            self._is_applying = False
            if time.monotonic() > look_at:  # where nothing new comes, nothing else would tell
                await self._check_not_gone_back()
                look_at = time.monotonic() + LOOK_SECONDS
            # What there was when it began: who had to reach the end of now would never be ready beside a faster one.
            # Positions, not records: what is left of the log may be markers.
            if self.problem and all([await self._consumer.position(s) >= end for s, end in ends.items()]):
                self.problem = None

    def _topics(self) -> set[str]:
        registry = self._registry()
        agencies = registry.agencies.keys() - RESERVED  # the watchdog looks at its topics itself
        edges = {f"alerts.{agency}" for agency in agencies}
        return edges | {f"receipts.{one}" for one in agencies | (registry.labs.keys() - RESERVED)} | set(INTERNAL)

    async def _begin(self, topics: set[str]) -> dict[TopicPartition, int]:
        """Goes to where the database is, and returns where the topics end."""
        known = await self._consumer.topics()
        sources = [
            TopicPartition(self._connection.topic(name), partition)
            for name in sorted(topics)
            for partition in range(self._partitions if name in INTERNAL else 1)
            if self._connection.topic(name) in known
        ]
        self._consumer.assign(sources)
        firsts = await self._consumer.beginning_offsets(sources)
        async with self._engine.begin() as database:
            self._next = {source: await self._position(database, source, firsts[source]) for source in sources}
        ends = await self._consumer.end_offsets(sources)  # after the positions: another door may just have moved them
        for source, position in self._next.items():
            if position > ends[source]:
                raise Ahead(
                    f"the read model has read {source.topic}/{source.partition} up to {position}, and it holds "
                    f"{ends[source]}: it was restored or re-created. `herald read-model rebuild` makes it anew"
                )
        for source, position in self._next.items():
            self._consumer.seek(source, max(position, firsts[source]))
        return dict(ends)

    async def _check_not_gone_back(self) -> None:
        async with self._engine.connect() as database:
            kept = {(row.topic, row.partition): row.next for row in await database.execute(select(POSITIONS))}
        for source, following in self._next.items():
            if kept.get((self._connection.logical(source.topic), source.partition), -1) < following:
                raise GoneBack

    async def _position(self, database: AsyncConnection, source: TopicPartition, first: int) -> int:
        key = (POSITIONS.c.topic == self._connection.logical(source.topic), POSITIONS.c.partition == source.partition)
        found = (await database.execute(select(POSITIONS.c.next).where(*key))).scalar()
        if found is None:
            topic = self._connection.logical(source.topic)
            await database.execute(POSITIONS.insert().values(topic=topic, partition=source.partition, next=first))
            return first
        return int(found)

    async def _apply(self, source: TopicPartition, records: list[Any]) -> None:
        topic, following = self._connection.logical(source.topic), records[-1].offset + 1
        try:
            async with self._engine.begin() as database:
                moved = await database.execute(
                    update(POSITIONS)
                    .where(POSITIONS.c.topic == topic, POSITIONS.c.partition == source.partition)
                    .where(POSITIONS.c.next == self._next[source])
                    .values(next=following)
                )
                if moved.rowcount != 1:
                    raise Overtaken
                for record in records:
                    where = (topic, record.partition, record.offset)
                    await self._take(database, Recorded(*where, record.timestamp, record.value or b""))
        except (Overtaken, IntegrityError):
            await self._go_where_the_database_is(source)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != DEADLOCK:
                raise
            await self._go_where_the_database_is(source)
        else:
            self._next[source] = following
        await self._tell()  # it is there, whoever has written it

    async def _go_where_the_database_is(self, source: TopicPartition) -> None:
        """After another one, which was faster. Nothing is begun anew: who is overtaken often is ready all the same."""
        topic = self._connection.logical(source.topic)
        query = select(POSITIONS.c.next).where(POSITIONS.c.topic == topic, POSITIONS.c.partition == source.partition)
        async with self._engine.connect() as database:
            found = (await database.execute(query)).scalar()
        if found is None or found < self._next[source]:
            raise GoneBack
        self._next[source] = int(found)
        self._consumer.seek(source, self._next[source])

    async def _take(self, database: AsyncConnection, record: Recorded) -> None:
        try:
            statements = changes(record)
        except (ValueError, KeyError, TypeError) as error:
            # The topics hold what Herald has decided; one record that is none of that holds up no other.
            log.error("not_projected", topic=record.topic, offset=record.offset, error=type(error).__name__)
            return
        for statement in statements:
            await database.execute(statement)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
