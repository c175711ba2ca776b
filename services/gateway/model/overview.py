"""Asks the read model as an operator does: across all participants."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.alert import AlertIssued
from services.gateway.model.delivery_reading import STATUS
from services.gateway.model.tables import DELIVERIES, DELIVERY_OUTCOMES, EDGE_EVENTS, EVENTS, POSITIONS, WINDOWS

MOST = 2000
"""Rows of one question, at most."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One event about a release, where it stood, and when Kafka took it, in milliseconds since 1970."""

    topic: str
    offset: int
    appended_ms: int
    event: dict[str, Any]


class Overview:
    """The questions of the operators' page."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def seen(self) -> int:
        """How many records were projected, of all topics: it grows with each, and is the same at every door."""
        rows = await self._rows(select(func.coalesce(func.sum(POSITIONS.c.next), 0)))
        return int(rows[0][0])

    async def windows(
        self, statuses: Collection[str], *, lab: str | None = None, exercise: bool | None = None
    ) -> list[dict[str, Any]]:
        """Windows that stand so, the last changed first."""
        query = select(WINDOWS.c.body).where(WINDOWS.c.status.in_(statuses))
        if lab is not None:
            query = query.where(WINDOWS.c.lab == lab)
        if exercise is not None:
            query = query.where(WINDOWS.c.exercise.is_(exercise))
        return _bodies(await self._rows(query.order_by(WINDOWS.c.changed_ms.desc()).limit(MOST)))

    async def named(self, text: str, release_id: str | None) -> list[dict[str, Any]]:
        """Windows whose statement holds a text, in any case of ASCII letters, or of this release."""
        sought = text.lower().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        like = func.lower(WINDOWS.c.body).like(f"%{sought}%", escape="\\")
        query = select(WINDOWS.c.body).where(or_(like, WINDOWS.c.release_id == (release_id or text)))
        return _bodies(await self._rows(query.order_by(WINDOWS.c.changed_ms.desc()).limit(MOST)))

    async def window(self, release_id: str) -> dict[str, Any] | None:
        """One window."""
        found = _bodies(await self._rows(select(WINDOWS.c.body).where(WINDOWS.c.release_id == release_id)))
        return found[0] if found else None

    async def names(self, releases: Collection[str]) -> dict[str, str]:
        """Of these releases, the keys for people."""
        query = select(WINDOWS.c.body).where(WINDOWS.c.release_id.in_(releases))
        found = _bodies(await self._rows(query))
        return {one["release_id"]: f"{one['lab']}/{one['statement']['reference']}" for one in found}

    async def alerts(self, releases: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """What was told of each of these releases, in the order of each agency's topic."""
        query = select(EDGE_EVENTS.c.release_id, EDGE_EVENTS.c.body).where(EDGE_EVENTS.c.type == AlertIssued.type)
        query = query.where(EDGE_EVENTS.c.release_id.in_(releases)).order_by(EDGE_EVENTS.c.topic, EDGE_EVENTS.c.offset)
        return _by_release(await self._rows(query))

    async def answers(self, releases: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """What was answered of each of these releases, and where silence became overdue, oldest first."""
        query = select(EVENTS.c.release_id, EVENTS.c.body).where(EVENTS.c.topic == "acknowledgements")
        query = query.where(EVENTS.c.release_id.in_(releases)).order_by(EVENTS.c.partition, EVENTS.c.offset)
        return _by_release(await self._rows(query))

    async def story(self, release_id: str) -> list[Happened]:
        """Everything that became of a release, oldest first; of deliveries, each attempt."""
        found = []
        for table in (EVENTS, EDGE_EVENTS):
            query = select(table.c.topic, table.c.offset, table.c.appended_ms, table.c.body)
            query = query.where(table.c.release_id == release_id).order_by(table.c.appended_ms, table.c.offset)
            rows = await self._rows(query.limit(MOST))
            found += [Happened(r.topic, r.offset, r.appended_ms, json.loads(r.body)) for r in rows]
        return sorted(found, key=lambda one: (one.appended_ms, _RANK.get(one.topic.partition(".")[0], 9), one.offset))

    async def attempts(self, release_id: str) -> list[dict[str, Any]]:
        """What came of a release's deliveries, each with its agency and endpoint, oldest first."""
        query = select(DELIVERIES.c.delivery_id, DELIVERIES.c.agency, DELIVERIES.c.endpoint, DELIVERY_OUTCOMES.c.body)
        query = query.join(DELIVERIES, DELIVERIES.c.delivery_id == DELIVERY_OUTCOMES.c.delivery_id)
        query = query.where(DELIVERIES.c.release_id == release_id).limit(MOST)
        order = (DELIVERY_OUTCOMES.c.partition, DELIVERY_OUTCOMES.c.offset)
        return [
            {"delivery_id": r.delivery_id, "agency": r.agency, "endpoint": r.endpoint, **json.loads(r.body)}
            for r in await self._rows(query.order_by(*order))
        ]

    async def delivered(self, releases: Collection[str]) -> dict[tuple[str, str], dict[str, int]]:
        """How many deliveries of these releases stand how, by release and agency."""
        query = select(DELIVERIES.c.release_id, DELIVERIES.c.agency, STATUS.label("status"), func.count().label("n"))
        query = query.where(DELIVERIES.c.first_ms.is_not(None), DELIVERIES.c.release_id.in_(releases))
        query = query.group_by(DELIVERIES.c.release_id, DELIVERIES.c.agency, STATUS)
        found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for row in await self._rows(query):
            found[row.release_id, row.agency][row.status] = row.n
        return found

    async def _rows(self, query: Any) -> Sequence[Row[Any]]:
        async with self._engine.connect() as database:
            return (await database.execute(query)).all()


_RANK = {"announcements": 0, "receipts": 1, "windows": 2, "alerts": 3, "acknowledgements": 4}
"""Of what Kafka took in one millisecond: causes first."""


def _bodies(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    return [json.loads(row.body) for row in rows]


def _by_release(rows: Sequence[Row[Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row.release_id].append(json.loads(row.body))
    return found
