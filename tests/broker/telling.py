"""Announces through a door, and waits until an agency is told."""

import asyncio
from typing import Any

from tests.broker.doorway import Door
from tests.broker.flow import release


async def announce(door: Door, reference: str, **changes: Any) -> str:
    """Announces a release of lab-a; returns its id."""
    answer = await door.post("lab-a", "/v1/releases?wait=20", json=release(reference, **changes))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["release_id"])


async def alert_of(door: Door, agency: str, release_id: str, kind: str = "scheduled") -> dict[str, Any]:
    """The last alert of that kind of a release, waited for as long as the test may take."""
    while True:
        page = (await door.get(agency, "/v1/alerts?limit=1000")).json()
        for one in reversed(page["alerts"]):
            if (one["data"]["release_id"], one["data"]["kind"]) == (release_id, kind):
                return dict(one)
        await asyncio.sleep(0.05)


async def told(door: Door, agency: str, reference: str, **changes: Any) -> dict[str, Any]:
    """Announces a release; returns the agency's alert of it."""
    return await alert_of(door, agency, await announce(door, reference, **changes))
