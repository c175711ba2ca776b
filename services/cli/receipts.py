"""`herald receipts`: the answers to a participant's events; a lab also sees who was told."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from services.cli import reading, session


def receipts(
    participant: Annotated[str, typer.Option("--participant", help="The lab or agency.")],
    follow: reading.Follow = False,
    since: reading.Since = None,
    as_json: session.Json = False,
) -> None:
    """Show the receipts of a lab or an agency, oldest first.

    Example: herald receipts --participant aurora-labs
    """
    asyncio.run(_receipts(participant, follow, since, as_json))


async def _receipts(participant: str, follow: bool, since: str | None, as_json: bool) -> None:
    connection = session.connect(session.settings())
    start = reading.point(since, datetime.now(UTC))
    async for record in reading.records(connection, f"receipts.{participant}", since=start, follow=follow):
        event = json.loads(record.value)
        print(json.dumps(event) if as_json else _line(event), flush=True)


def _line(event: dict[str, Any]) -> str:
    data, kind = event["data"], event["type"].split(".")[2]
    if event["type"] == "herald.disclosure.made.v1":
        return f"{event['time']}  told       {data['agency']}: {data['kind']} {data['reference']} ({data['why']})"
    said = "; ".join(f"{n['code']}: {n['message']}" for n in [*data.get("reasons", []), *data.get("warnings", [])])
    about = data.get("reference") or data.get("alert_id") or data.get("event_id") or ""
    return f"{event['time']}  {kind:10} {about}{'  ' + said if said else ''}"
