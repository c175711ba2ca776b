"""The calendar feed: an agency's calendar subscribes to it. Its address holds a token that opens nothing else."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from schemas.alert import AlertIssued
from schemas.envelope import reader
from services.gateway.door.bodies import ANSWERS
from services.gateway.door.feed import FORMAT, Entries, calendar
from services.gateway.door.identity import Gatekeeper, Identity
from services.gateway.door.problem import Problem
from services.kernel.credential_log import FEED_PATH

router = APIRouter()

PAGE = 1000
_read = reader(AlertIssued)
_FOUND: dict[int | str, dict[str, Any]] = {
    200: {"description": "RFC 5545", "content": {"text/calendar": {"schema": {"type": "string"}}}},
    304: {"description": "as the ETag in If-None-Match"},
}
_ANSWERS = _FOUND | {status: ANSWERS[status] for status in (401, 403, 422, 429, 503)}

FeedToken = Annotated[str | None, Query(description="of `herald tokens issue AGENCY --scope calendar`")]


@router.head(FEED_PATH, include_in_schema=False)
@router.get(FEED_PATH, responses=_ANSWERS, response_class=Response)
async def feed(request: Request, token: FeedToken = None) -> Response:
    """An agency's windows as iCalendar: when, and an opaque id, with moves and cancellations. Send its ETag back."""
    identity = await _subscriber(request, token)
    agency = identity.participant
    reading = request.app.state.reading
    request.state.headers["Cache-Control"] = "private, no-cache"
    last = await reading.last_told(agency)
    if last is not None and _etag(last[0]) in _had(request):
        return Response(status_code=304, headers={"ETag": _etag(last[0])})
    entries, cursor, more = Entries(), -1, True
    while more:
        page = await reading.alerts(agency, cursor, PAGE)
        for one in page:
            cursor = one.cursor
            entries.take(_read.validate_json(one.text, extra="ignore").data)
        more = len(page) == PAGE
    shown = [{"data": {"release_id": entry.release_id}} for entry in entries]
    await request.app.state.audit.shown(request.state.request_id, identity, "window.read", shown)
    headers = {"ETag": _etag(cursor), "Content-Disposition": 'inline; filename="early-access.ics"'}
    if last is not None:
        headers["Last-Modified"] = format_datetime(datetime.fromtimestamp(last[1] // 1000, UTC), usegmt=True)
    return Response(calendar(entries), headers=headers, media_type="text/calendar")


async def _subscriber(request: Request, token: str | None) -> Identity:
    gatekeeper: Gatekeeper = request.app.state.gatekeeper
    if token is None:
        headers = {"WWW-Authenticate": 'Bearer realm="herald"'}
        raise Problem(
            401, "unauthenticated", "the feed's address ends in ?token=…: use it as it was given", (), headers
        )
    await gatekeeper.hears_of(token)
    identity, headers = gatekeeper.identify(token, "calendar")
    request.state.headers.update(headers)
    request.state.afterwards.enter_context(gatekeeper.open_request(identity.participant))
    request.state.participant = identity.participant
    if identity.role != "agency":
        raise Problem(403, "not_for_you", "this is for agencies")
    return identity


def _etag(cursor: int) -> str:
    """Of what the alerts up to a cursor give."""
    return f'"{FORMAT}.{cursor}"'


def _had(request: Request) -> set[str]:
    """What the client has, as RFC 9110 section 13.1.2 compares: weakly."""
    return {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
