"""Asks the read model. Every question names whose answer it is: nothing is looked up across participants."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.gateway.model.tables import ANNOUNCEMENTS, ANSWERS, EDGE_EVENTS, WINDOWS

_ANSWER = ("agency", "life", "disposition", "recorded_at")


@dataclass(frozen=True, slots=True)
class Sent:
    """One event that a participant was sent. `cursor` orders them, without gaps that matter."""

    cursor: int
    event: dict[str, Any]
    text: str


class Reading:
    """The questions that the door asks."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def announcement(self, lab: str, release_id: str) -> dict[str, Any] | None:
        """A lab's own latest statement on a release, `withdrawn` beside it."""
        query = select(ANNOUNCEMENTS.c.body, ANNOUNCEMENTS.c.withdrawn)
        rows = await self._rows(query.where(ANNOUNCEMENTS.c.release_id == release_id, ANNOUNCEMENTS.c.lab == lab))
        return {**json.loads(rows[0].body), "withdrawn": rows[0].withdrawn} if rows else None

    async def window(self, lab: str, release_id: str) -> dict[str, Any] | None:
        """The window of a lab's own release."""
        query = select(WINDOWS.c.body).where(WINDOWS.c.release_id == release_id, WINDOWS.c.lab == lab)
        rows = await self._rows(query)
        return json.loads(rows[0].body) if rows else None

    async def answers(self, lab: str, release_id: str, agencies: Collection[str]) -> list[dict[str, Any]]:
        """What these agencies have answered on a lab's own release, oldest first."""
        query = select(ANSWERS).join(ANNOUNCEMENTS, ANNOUNCEMENTS.c.release_id == ANSWERS.c.release_id)
        query = query.where(ANNOUNCEMENTS.c.lab == lab, ANSWERS.c.release_id == release_id)
        rows = await self._rows(query.where(ANSWERS.c.agency.in_(agencies)))
        found = [{name: getattr(row, name) for name in _ANSWER} for row in rows]
        return sorted(found, key=lambda one: datetime.fromisoformat(one["recorded_at"]))

    async def receipts(self, participant: str, release_id: str) -> list[dict[str, Any]]:
        """Everything that a participant was answered about a release, oldest first; to a lab, who was told as well."""
        query = select(EDGE_EVENTS).where(EDGE_EVENTS.c.topic == f"receipts.{participant}")
        rows = await self._rows(query.where(EDGE_EVENTS.c.release_id == release_id).order_by(EDGE_EVENTS.c.offset))
        return [json.loads(row.body) for row in rows]

    async def receipt(self, participant: str, event_id: str, start: int = 0) -> str | None:
        """The first answer to an event, not before an offset, as it was sent."""
        query = select(EDGE_EVENTS.c.body).where(EDGE_EVENTS.c.topic == f"receipts.{participant}")
        query = query.where(EDGE_EVENTS.c.event_id == event_id, EDGE_EVENTS.c.offset >= start)
        rows = await self._rows(query.order_by(EDGE_EVENTS.c.offset).limit(1))
        return rows[0].body if rows else None

    async def alerts(self, agency: str, after: int, limit: int, since_ms: int | None = None) -> list[Sent]:
        """An agency's alerts behind a cursor, and not older than an instant."""
        query = select(EDGE_EVENTS).where(EDGE_EVENTS.c.topic == f"alerts.{agency}", EDGE_EVENTS.c.offset > after)
        if since_ms is not None:
            query = query.where(EDGE_EVENTS.c.appended_ms >= since_ms)
        rows = await self._rows(query.order_by(EDGE_EVENTS.c.offset).limit(limit))
        return [Sent(row.offset, json.loads(row.body), row.body) for row in rows]

    async def told(self, agency: str, release_id: str) -> list[str]:
        """Every alert of a release to an agency, oldest first, as it was sent."""
        query = select(EDGE_EVENTS.c.body).where(EDGE_EVENTS.c.topic == f"alerts.{agency}")
        rows = await self._rows(query.where(EDGE_EVENTS.c.release_id == release_id).order_by(EDGE_EVENTS.c.offset))
        return [row.body for row in rows]

    async def last_told(self, agency: str) -> tuple[int, int] | None:
        """The cursor of an agency's last alert, and when Kafka took it, in milliseconds since 1970."""
        query = select(EDGE_EVENTS.c.offset, EDGE_EVENTS.c.appended_ms).where(EDGE_EVENTS.c.topic == f"alerts.{agency}")
        rows = await self._rows(query.order_by(EDGE_EVENTS.c.offset.desc()).limit(1))
        return (rows[0].offset, rows[0].appended_ms) if rows else None

    async def alert(self, agency: str, alert_id: str) -> dict[str, Any] | None:
        """One alert of an agency."""
        query = select(EDGE_EVENTS.c.body).where(EDGE_EVENTS.c.topic == f"alerts.{agency}")
        rows = await self._rows(query.where(EDGE_EVENTS.c.id == alert_id))
        return json.loads(rows[0].body) if rows else None

    async def latest_alerts(self, agency: str) -> list[dict[str, Any]]:
        """The last alert of each release that an agency was told of: what it knows, and nothing more."""
        mine = EDGE_EVENTS.c.topic == f"alerts.{agency}"
        last = select(func.max(EDGE_EVENTS.c.offset)).where(mine).group_by(EDGE_EVENTS.c.release_id)
        query = select(EDGE_EVENTS.c.body).where(mine, EDGE_EVENTS.c.offset.in_(last))
        return [json.loads(row.body) for row in await self._rows(query.order_by(EDGE_EVENTS.c.offset))]

    async def _rows(self, query: Any) -> Sequence[Row[Any]]:
        async with self._engine.connect() as database:
            return (await database.execute(query)).all()
