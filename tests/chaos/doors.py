"""A lab's and an agency's way through the HTTP doors, and what was answered there. Nothing of Herald's but HTTP.

Who gets no answer, or one that says "later", asks the next door, with the same `Idempotency-Key`.
"""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.broker.doorway import TLS

Json = dict[str, Any]
LATER = {404, 429, 503}
"""What ends by itself. 404: a door has not read yet of what is asked for."""

PATIENCE_SECONDS = 9.0
"""Past the time that a door gives Kafka to confirm something is nobody's patience; it may still be written."""


@dataclass(slots=True)
class Doors:
    """Where they are, as a load balancer would have it, and what they said."""

    tokens: dict[str, Any] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    promised: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By participant: where a door said that a receipt would be."""
    receipts: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    """By participant: receipts that a door answered at once."""
    polled: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    """By agency: the alerts that it has read page by page."""
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Answers that there is no excuse for."""
    _turn: int = 0

    async def say(self, who: str, path: str, data: Json, event_id: str, wait: float) -> None:
        """Returns once a door has taken it."""
        headers = {"Idempotency-Key": event_id}
        answer = await self._until_taken(who, "POST", path, params={"wait": wait}, json=data, headers=headers)
        if answer.status_code == 202:
            self.promised[who].append(answer.json()["receipt_url"])
        else:
            self.receipts[who].append(answer.json())

    async def poll(self, agency: str) -> None:
        """Reads an agency's alerts for ever: each page behind the last one, from whichever door answers."""
        cursor = "-1"
        while True:
            page = await self._until_taken(agency, "GET", "/v1/alerts", params={"after": cursor, "wait": 3})
            self.polled[agency] += page.json()["alerts"]
            cursor = page.json()["cursor"] or cursor
            await asyncio.sleep(1)

    async def get(self, address: str, who: str, path: str, **params: Any) -> httpx.Response:
        """What one door says."""
        async with self._client(address, who) as client:
            return await client.get(path, params=params or None)

    async def _until_taken(self, who: str, method: str, path: str, **named: Any) -> httpx.Response:
        while True:
            self._turn += 1
            address = self.addresses[self._turn % len(self.addresses)]
            try:
                async with self._client(address, who) as client:
                    answer = await client.request(method, path, **named)
            except httpx.TransportError:  # killed, frozen, or not open yet
                await asyncio.sleep(0.3)
                continue
            self.statuses[answer.status_code] += 1
            if answer.is_success:
                return answer
            if answer.status_code not in LATER:
                self.wrong.append(f"{method} {path} of {who}: {answer.status_code} {answer.text[:200]}")
            await asyncio.sleep(0.5)

    def _client(self, address: str, who: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE_SECONDS, verify=TLS)
