"""Tells an open page that something has changed; the page then fetches itself. What has changed is not said here.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from services.gateway.console.entrance import Viewer, sessions
from services.gateway.console.sessions import Visitor
from services.gateway.door.identity import PAGE_PATH

router = APIRouter(prefix=PAGE_PATH)

HEARTBEAT_SECONDS = 15.0
AT_MOST_EVERY = 0.5
"""Seconds between two words: a burst of events is one change to look at."""


@router.get("/live")
async def live(
    request: Request,
    visitor: Viewer,
    seen: Annotated[int, Query(ge=0)] = 0,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", pattern=r"^[0-9]{1,18}$")] = None,
) -> StreamingResponse:
    """`changed`, each time that there is more than the page has seen; its id says how much there is."""
    known = int(last_event_id) if last_event_id is not None else seen
    return StreamingResponse(_changes(request, visitor, known), media_type="text/event-stream")


async def _changes(request: Request, visitor: Visitor, known: int) -> AsyncIterator[str]:
    state, quiet_since = request.app.state, time.monotonic()
    yield "retry: 1000\n\n"
    while not state.stopping.is_set() and sessions(request).lasts(visitor, datetime.now(UTC)):
        there = await state.console.overview.seen()
        if there != known:
            known, quiet_since = there, time.monotonic()
            yield f"id: {known}\nevent: changed\ndata: \n\n"
            await asyncio.sleep(AT_MOST_EVERY)
            continue
        if time.monotonic() - quiet_since > HEARTBEAT_SECONDS:
            quiet_since = time.monotonic()
            yield ": still here\n\n"
        await state.projector.changed(1.0)
