"""Asks the read model about deliveries. Every question names the agency whose they are."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from services.gateway.model.tables import DELIVERIES, DELIVERY_OUTCOMES

_LAST_IS_A_REQUEST = or_(DELIVERIES.c.settled_ms.is_(None), DELIVERIES.c.settled_ms < DELIVERIES.c.requested_ms)
STATUS = case((_LAST_IS_A_REQUEST, "pending"), else_=DELIVERIES.c.standing)
"""How a delivery stands."""

ASKED = select(DELIVERIES, STATUS.label("status")).where(DELIVERIES.c.first_ms.is_not(None))
"""Those that are known to be asked for; an outcome may be projected before its request."""


@dataclass(frozen=True, slots=True)
class Told:
    """One delivery. `request` is the last one's data, `last` what came last of it; `cursor` orders them."""

    cursor: tuple[int, str]
    status: str
    attempts: int
    request: dict[str, Any]
    last: dict[str, Any] | None


class DeliveryReading:
    """The questions that the door asks."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(
        self, agency: str, after: tuple[int, str] | None, limit: int, *, status: str | None, endpoint: str | None
    ) -> list[Told]:
        """An agency's deliveries behind a cursor, by when they were first asked for."""
        place = (DELIVERIES.c.first_ms, DELIVERIES.c.delivery_id)
        query = self._of(agency)
        if after is not None:
            query = query.where(tuple_(*place) > after)
        if status is not None:
            query = query.where(status == STATUS)
        if endpoint is not None:
            query = query.where(DELIVERIES.c.endpoint == endpoint)
        async with self._engine.connect() as database:
            return [told(row) for row in await database.execute(query.order_by(*place).limit(limit))]

    async def one(self, agency: str, delivery_id: str) -> Told | None:
        """One delivery of an agency."""
        async with self._engine.connect() as database:
            found = await database.execute(self._of(agency).where(DELIVERIES.c.delivery_id == delivery_id))
            row = found.first()
        return told(row) if row is not None else None

    async def outcomes(self, agency: str, delivery_id: str) -> list[dict[str, Any]]:
        """Everything that came of a delivery of an agency, oldest first."""
        query = select(DELIVERY_OUTCOMES.c.body).join(
            DELIVERIES, DELIVERIES.c.delivery_id == DELIVERY_OUTCOMES.c.delivery_id
        )
        query = query.where(DELIVERIES.c.agency == agency, DELIVERIES.c.delivery_id == delivery_id)
        async with self._engine.connect() as database:
            return [json.loads(row.body) for row in await database.execute(query.order_by(DELIVERY_OUTCOMES.c.offset))]

    @staticmethod
    def _of(agency: str) -> Any:
        return ASKED.where(DELIVERIES.c.agency == agency)


def told(row: Any) -> Told:
    """A row of deliveries, with its status."""
    last = json.loads(row.last) if row.last is not None else None
    return Told((row.first_ms, row.delivery_id), row.status, row.attempts, json.loads(row.request), last)
