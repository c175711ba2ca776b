"""What agencies do over HTTP: read their alerts, by page, by waiting or as a stream, and answer them."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, get_args

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from schemas.acknowledgement import AcknowledgementSubmitted
from schemas.heartbeat import HeartbeatBeat
from schemas.values import Disposition, Instant, Uuid
from services.gateway.door.answers import LOOKED, SPOKEN, STREAMED, Alert
from services.gateway.door.bodies import LARGEST, json_body, read
from services.gateway.door.edge import event
from services.gateway.door.identity import Agency, Identity
from services.gateway.door.labs import Key, Wait, speak
from services.gateway.door.problem import Problem

router = APIRouter()

HEARTBEAT_SECONDS = 15.0
PAGE = 100
_NO_CURSOR = -1
_ANSWER = {
    "type": "object",
    "required": ["disposition"],
    "additionalProperties": False,
    "properties": {
        "disposition": {"enum": list(get_args(Disposition))},
        "by": {"$ref": f"json/{AcknowledgementSubmitted.type}.json#/$defs/AcknowledgementSubmitted/properties/by"},
    },
}

Limit = Annotated[int, Query(ge=1, le=1000)]
Since = Annotated[Instant | None, Query(description="not before this instant, as Kafka took them")]


class Alerts(BaseModel):
    """A page of alerts, in the order in which they were sent."""

    alerts: list[Alert]
    cursor: str | None = Field(description="send it as `after` to go on; null: nothing was ever sent")
    more: bool = Field(description="whether another page is there already")


class Windows(BaseModel):
    """What an agency knows: of each release that it was told of, the latest alert."""

    windows: list[Alert]


@router.get("/v1/alerts", responses=LOOKED)
async def alerts(
    request: Request,
    agency: Agency,
    after: Annotated[int, Query(ge=_NO_CURSOR, le=LARGEST, description="a cursor")] = _NO_CURSOR,
    since: Since = None,
    limit: Limit = PAGE,
    wait: Wait = 0,
) -> Alerts:
    """Alerts behind a cursor. With `wait`, an empty page is held back until something comes, at most so long."""
    state, until = request.app.state, time.monotonic() + wait
    while True:
        found = await state.reading.alerts(agency.participant, after, limit + 1, _milliseconds(since))
        left = until - time.monotonic()
        if found or left <= 0 or state.stopping.is_set():
            break
        await state.projector.changed(min(left, 1.0))
    page = found[:limit]
    await state.audit.shown(request.state.request_id, agency, "alert.read", [one.event for one in page])
    last = page[-1].cursor if page else after
    return Alerts(
        alerts=[one.event for one in page],
        cursor=str(last) if last > _NO_CURSOR else None,
        more=len(found) > limit,
    )


@router.get("/v1/alerts/stream", responses=STREAMED, response_class=StreamingResponse)
async def stream(
    request: Request,
    agency: Agency,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", pattern=r"^[0-9]{1,18}$")] = None,
    since: Since = None,
    heartbeat: Annotated[bool, Query(description="Herald's heartbeats as well: the last one at once")] = False,
) -> StreamingResponse:
    """Alerts as server-sent events, from the beginning, or behind the last one that was got (`Last-Event-ID`).

    Heartbeats come if they are asked for. They have no `id`: what was got last stays what it was.
    """
    after = int(last_event_id) if last_event_id is not None else _NO_CURSOR
    events = _events(request, agency, after, _milliseconds(since), heartbeat)
    return StreamingResponse(events, media_type="text/event-stream")


async def _events(
    request: Request, agency: Identity, after: int, since_ms: int | None, heartbeat: bool
) -> AsyncIterator[str]:
    state, quiet_since, beat = request.app.state, time.monotonic(), None
    yield ": herald\n\n"
    while not state.stopping.is_set() and state.gatekeeper.still_knows(agency):
        found = await state.reading.alerts(agency.participant, after, PAGE, since_ms)
        try:
            await state.audit.shown(request.state.request_id, agency, "alert.read", [one.event for one in found])
        except Problem:
            return  # what cannot be audited is not shown: the stream ends, and is resumed where it was
        for one in found:
            after, quiet_since = one.cursor, time.monotonic()
            yield f"id: {one.cursor}\nevent: {one.event['type']}\ndata: {one.text}\n\n"
        if heartbeat and state.pulse.latest is not None and state.pulse.latest != beat:
            beat, quiet_since = state.pulse.latest, time.monotonic()
            yield f"event: {HeartbeatBeat.type}\ndata: {beat.text}\n\n"
        if time.monotonic() - quiet_since > HEARTBEAT_SECONDS:
            quiet_since = time.monotonic()
            yield ": still here\n\n"
        if not found:
            await state.projector.changed(1.0)
        await asyncio.sleep(0)


@router.get("/v1/windows", responses=LOOKED)
async def windows(request: Request, agency: Agency) -> Windows:
    """Of each release that the agency was told of, the latest alert: the windows as it knows them."""
    state = request.app.state
    found = await state.reading.latest_alerts(agency.participant)
    await state.audit.shown(request.state.request_id, agency, "window.read", found)
    return Windows(windows=found)


@router.post("/v1/alerts/{alert_id}/acknowledgement", responses=SPOKEN, openapi_extra=json_body(_ANSWER))
async def acknowledge(
    request: Request, agency: Agency, alert_id: Annotated[Uuid, Path()], wait: Wait = 0, key: Key = None
) -> Response:
    """Answers an alert: `received`, `participating`, `declined` or `finished`. It approves nothing."""
    said = await read(request)
    alert = await request.app.state.edge.alert(agency.participant, alert_id)
    if alert is None:
        raise Problem(404, "unknown_alert", "no alert of yours has this id")
    named = {"alert_id": alert_id, "release_id": alert["data"]["release_id"]}
    if clash := sorted(name for name, value in named.items() if said.get(name, value) != value):
        raise Problem(422, "invalid", f"{clash[0]}: is named by the address already; leave it out")
    submitted = event(agency, AcknowledgementSubmitted.type, said | named, key)
    return await speak(request, agency, submitted, wait, fresh=key is None)


def _milliseconds(since: datetime | None) -> int | None:
    return None if since is None else int(since.timestamp() * 1000)
