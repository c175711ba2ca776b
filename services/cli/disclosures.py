"""`herald disclosures`: everybody who was told of a release, or looked at it, for the day of a leak."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from services.cli import reading, session
from services.cli.releases import Release, release_id_of


def disclosures(
    release: Release,
    since: reading.Since = None,
    as_json: session.Json = False,
) -> None:
    """List who was told of a release (by an alert), and who looked at it or spoke of it through the HTTP door, when.

    Who was told may have read it from Kafka, which does not show here. An entry of the door was written before the
    answer went out: it may stand for one that never arrived.

    Example: herald disclosures aurora-labs/halo-4 --since P30D
    """
    asyncio.run(_disclosures(release, since, as_json))


async def _disclosures(release: str, since: str | None, as_json: bool) -> None:
    connection = session.connect(session.settings())
    start = reading.point(since, datetime.now(UTC))
    release_id = await release_id_of(connection, release)
    found, mine = [], set()
    async for record in reading.records(connection, "alerts"):  # from the beginning: an old alert may be looked at late
        if record.key == release_id.encode():
            alert = json.loads(record.value)["data"]
            mine.add(alert["alert_id"])
            if start is None or record.timestamp >= start.timestamp() * 1000:
                found.append(_told(alert))
    async for record in reading.records(connection, "audit", since=start):
        entry = json.loads(record.value)["data"]
        if release_id in entry.get("release_ids", ()):
            found.append(_seen(entry, mine))
    for one in sorted(found, key=lambda one: datetime.fromisoformat(one["at"])):
        session.say(as_json, _line(one), release_id=release_id, **one)
    session.note(_sum(found))


def _told(alert: dict[str, Any]) -> dict[str, Any]:
    chase = f" ({alert['chase']})" if alert.get("chase") else ""
    return {
        "at": alert["issued_at"],
        "who": alert["agency"],
        "action": "told",
        "detail": f"{alert['kind']}{chase}, {alert['tlp']}",
        "alert_ids": [alert["alert_id"]],
    }


def _seen(entry: dict[str, Any], alerts: set[str]) -> dict[str, Any]:
    """`alerts`: those of this release; a page may hold others' as well."""
    return {
        "at": entry["at"],
        "who": entry.get("participant", "operator"),
        "action": entry["action"],
        "detail": f"{entry['credential']}, request {entry['request_id']}",
        "alert_ids": [alert for alert in entry.get("alert_ids", ()) if alert in alerts],
    }


def _line(one: dict[str, Any]) -> str:
    return f"{one['at']:27} {one['who']:20} {one['action']:18} {one['detail']}"


def _sum(found: list[dict[str, Any]]) -> str:
    def who(told: bool) -> Iterator[str]:
        return iter(sorted({one["who"] for one in found if (one["action"] == "told") == told}))

    told, looked = ", ".join(who(True)) or "nobody", ", ".join(who(False)) or "nobody"
    return f"told: {told}; through the door: {looked}"
