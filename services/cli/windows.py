"""`herald windows`: every window as it stands."""

import asyncio
import json
from typing import Any

from schemas.watchdog import LAB
from services.cli import reading, session
from services.kernel.connection import Connection

_ORDER = {"open": 0, "scheduled": 1, "not-offered": 2, "closed": 3, "withdrawn": 4}


def windows(as_json: session.Json = False) -> None:
    """Show every window as it stands, but the watchdog's own: open ones first, then by the next transition.

    Example: herald windows --json
    """
    for window in asyncio.run(_windows()):
        release = window["statement"]
        mark = "EXERCISE " if window["exercise"] else ""
        times = [f"{name[:-3]} {window[name]}" for name in ("opens_at", "closes_at") if window.get(name)]
        life = f"life {window['life']}, revision {window['revision']}"
        line = f"{mark}{window['status']:12} {window['lab']}/{release['reference']}  {', '.join(times)}  ({life})"
        session.say(as_json, line, **window)


async def _windows() -> list[dict[str, Any]]:
    found = [w for w in await latest(session.connect(session.settings())) if w["lab"] != LAB]
    return sorted(found, key=lambda w: (_ORDER[w["status"]], w.get("opens_at") or "", w["release_id"]))


async def latest(connection: Connection) -> list[dict[str, Any]]:
    """The latest window of each release, folded from `windows`."""
    found: dict[str, dict[str, Any]] = {}
    async for record in reading.records(connection, "windows"):
        window = json.loads(record.value)["data"]["window"]
        found[window["release_id"]] = window
    return list(found.values())
