"""A release's own page: who stands how, and everything that became of it, event by event."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from schemas.values import Uuid
from services.gateway.console.csv_file import csv_file
from services.gateway.console.entrance import Viewer
from services.gateway.console.sessions import Visitor
from services.gateway.console.shell import render
from services.gateway.console.standing import WHY, WORDS
from services.gateway.console.story import Entry, told
from services.gateway.console.windows import standings
from services.gateway.door.identity import PAGE_PATH
from services.gateway.door.problem import Problem

router = APIRouter(prefix=PAGE_PATH)

ReleaseId = Annotated[Uuid, Path()]


@router.get("/releases/{release_id}")
async def release(request: Request, visitor: Viewer, release_id: ReleaseId) -> Response:
    """One release."""
    state = request.app.state
    overview = state.console.overview
    seen, window = await overview.seen(), await _window(request, visitor, release_id)
    (row,) = await standings(request, [window])
    entries = await _story(request, release_id)
    delivered = await overview.delivered([release_id])
    return render(
        request,
        "release.html",
        seen=seen,
        row=row,
        window=window,
        statement=window["statement"],
        entries=entries,
        delivered=delivered,
        registry=state.directory.registry,
        why=WHY,
        words=WORDS,
    )


@router.get("/releases/{release_id}/story.csv")
async def as_csv(request: Request, visitor: Viewer, release_id: ReleaseId) -> Response:
    """The same story as a table."""
    await _window(request, visitor, release_id)
    entries = await _story(request, release_id)
    lines = [
        {"at": one.at.isoformat(), "who": one.who, "what": one.what, "detail": "; ".join(one.more)} for one in entries
    ]
    return csv_file(request, "release", ("at", "who", "what", "detail"), lines)


async def _window(request: Request, visitor: Visitor, release_id: str) -> dict[str, Any]:
    window: dict[str, Any] | None = await request.app.state.console.overview.window(release_id)
    if window is None:
        raise Problem(404, "unknown_release", "no release has this id")
    await request.app.state.audit.write(request.state.request_id, visitor, "release.read", release_ids=(release_id,))
    return window


async def _story(request: Request, release_id: str) -> list[Entry]:
    overview, clock = request.app.state.console.overview, request.app.state.clock
    return told(await overview.story(release_id), await overview.attempts(release_id), clock.at)
