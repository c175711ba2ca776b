"""`herald alerts`: what an agency was told."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from services.cli import reading, session

AgencyId = Annotated[str, typer.Option("--agency", envvar="HERALD_AGENCY", help="The agency.")]


def alerts(
    agency: AgencyId, follow: reading.Follow = False, since: reading.Since = None, as_json: session.Json = False
) -> None:
    """Show the alerts of an agency, oldest first.

    Example: herald alerts --agency cisa --since P1D --follow
    """
    asyncio.run(_alerts(agency, follow, since, as_json))


async def _alerts(agency: str, follow: bool, since: str | None, as_json: bool) -> None:
    connection = session.connect(session.settings())
    start = reading.point(since, datetime.now(UTC))
    async for record in reading.records(connection, f"alerts.{agency}", since=start, follow=follow):
        event = json.loads(record.value)
        print(json.dumps(event) if as_json else _line(event["data"]), flush=True)


def _line(alert: dict[str, Any]) -> str:
    content = alert.get("content")
    parts = [alert["tlp"], "EXERCISE" if alert["exercise"] else "", alert["issued_at"], alert["kind"]]
    if alert.get("chase"):
        parts.append(f"({alert['chase']} to {alert['tier']})")
    if content:
        window = content["window"]
        parts.append(f"{content['lab']}/{content['reference']} “{content['model']['name']}”")
        parts += [f"{name[:-3]} {window[name]}" for name in ("opens_at", "closes_at") if window.get(name)]
    due = next((a["due_at"] for a in alert["answer_by"] if a["tier"] == alert.get("tier")), None)
    parts += [f"answer by {due}" if due else "", f"alert {alert['alert_id']}"]
    return "  ".join(part for part in parts if part)
