"""Asks the read model about deliveries as an operator does: of all agencies."""

import json
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from services.gateway.model.delivery_reading import ASKED, STATUS, Told, told
from services.gateway.model.tables import DELIVERIES, DELIVERY_OUTCOMES


class DeliveryOverview:
    """The questions of the operators' page."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(
        self,
        before: tuple[int, str] | None,
        limit: int,
        *,
        status: str | None = None,
        agency: str | None = None,
        endpoint: str | None = None,
    ) -> list[Told]:
        """Deliveries, the last that was asked for first."""
        place = (DELIVERIES.c.first_ms, DELIVERIES.c.delivery_id)
        query = ASKED if before is None else ASKED.where(tuple_(*place) < before)
        for column, value in ((STATUS, status), (DELIVERIES.c.agency, agency), (DELIVERIES.c.endpoint, endpoint)):
            if value is not None:
                query = query.where(column == value)
        query = query.order_by(DELIVERIES.c.first_ms.desc(), DELIVERIES.c.delivery_id.desc())
        async with self._engine.connect() as database:
            return [told(row) for row in await database.execute(query.limit(limit))]

    async def one(self, delivery_id: str) -> Told | None:
        """One delivery."""
        async with self._engine.connect() as database:
            row = (await database.execute(ASKED.where(DELIVERIES.c.delivery_id == delivery_id))).first()
        return told(row) if row is not None else None

    async def outcomes(self, delivery_id: str) -> list[dict[str, Any]]:
        """Everything that came of one, oldest first."""
        query = select(DELIVERY_OUTCOMES.c.body).where(DELIVERY_OUTCOMES.c.delivery_id == delivery_id)
        async with self._engine.connect() as database:
            return [json.loads(row.body) for row in await database.execute(query.order_by(DELIVERY_OUTCOMES.c.offset))]
