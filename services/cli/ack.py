"""`herald ack`: an agency answers an alert, and gets its receipt."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated
from uuid import uuid4

import typer

from services.cli import exchange, reading, session
from services.cli.alerts import AgencyId
from services.cli.announce import EventId, Timeout
from services.kernel.connection import Connection
from services.kernel.settings import SettingsError


class Answer(StrEnum):
    """What an agency may answer."""

    RECEIVED = "received"
    PARTICIPATING = "participating"
    DECLINED = "declined"
    FINISHED = "finished"


def ack(
    alert: Annotated[str, typer.Argument(help="The alert's id, or the beginning of it.")],
    agency: AgencyId,
    disposition: Annotated[Answer, typer.Option("--as", help="The answer. It approves nothing.")],
    by: Annotated[str | None, typer.Option(help="Who answers, if that is to be known: a role, or a name.")] = None,
    release: Annotated[str | None, typer.Option(help="The release id; absent: looked up in the alerts.")] = None,
    timeout: Timeout = 30.0,
    event_id: EventId = None,
    as_json: session.Json = False,
) -> None:
    """Answer an alert. An acknowledgement is a sign of receipt or interest: it approves nothing.

    Exit codes: 0 accepted or unchanged, 3 refused, 4 no answer in time, 2 usage.

    Example: herald ack 2f6c1e9a --agency cisa --as participating --by "watch officer"
    """
    raise typer.Exit(asyncio.run(_ack(alert, agency, disposition.value, by, release, timeout, event_id, as_json)))


async def _ack(
    alert: str,
    agency: str,
    disposition: str,
    by: str | None,
    release: str | None,
    seconds: float,
    event_id: str | None,
    as_json: bool,
) -> int:
    connection = session.connect(session.settings())
    if release is None:
        alert, release = await _find(connection, agency, alert)
    data = {"alert_id": alert, "release_id": release, "disposition": disposition} | ({"by": by} if by else {})
    event = {
        "specversion": "1.0",
        "id": event_id or str(uuid4()),
        "source": f"/agencies/{agency}",
        "type": "herald.acknowledgement.submitted.v1",
        "datacontenttype": "application/json",
        "data": data,
    }
    outcome = await exchange.exchange(connection, "acks", agency, event, seconds)
    return exchange.tell(outcome, as_json, f"{disposition} for alert {alert}")


async def _find(connection: Connection, agency: str, begins: str) -> tuple[str, str]:
    """The whole alert id and the release id of an alert on the agency's own topic."""
    found: dict[str, str] = {}
    async for record in reading.records(connection, f"alerts.{agency}"):
        data = json.loads(record.value)["data"]
        if data["alert_id"].startswith(begins):
            found[data["alert_id"]] = data["release_id"]
    if not found:
        raise SettingsError(f"no alert of {agency} begins with {begins}: `herald alerts --agency {agency}` lists them")
    if len(found) > 1:
        raise SettingsError(f"{len(found)} alerts of {agency} begin with {begins}: write more of the id")
    return next(iter(found.items()))
