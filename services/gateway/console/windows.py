"""The first page: the time line of windows, and the matrix of who was told and what they said."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from services.gateway.console import board
from services.gateway.console.board import Row
from services.gateway.console.chosen import Chosen
from services.gateway.console.csv_file import csv_file
from services.gateway.console.entrance import Sent, Viewer
from services.gateway.console.sessions import Visitor
from services.gateway.console.shell import iso, render
from services.gateway.console.standing import WHY, WORDS
from services.gateway.door.identity import PAGE_PATH

router = APIRouter(prefix=PAGE_PATH)

PAGE, AT_ONCE = 40, 100
Id = Annotated[str, Query(max_length=64)]


class Filter(Chosen):
    """What of it is shown."""

    status: Literal["current", "open", "scheduled", "ended", "not-offered", "all"] = "current"
    lab: Id = ""
    agency: Id = ""
    drills: Literal["with", "only", "without"] = "with"
    overdue: bool = False
    start: Annotated[int, Query(ge=0, le=100_000)] = 0


Filters = Annotated[Filter, Query()]


@router.get("")
async def first(request: Request, visitor: Viewer, chosen: Filters) -> Response:
    """Which windows there are, what is next, who was told, who has answered."""
    state = request.app.state
    seen, now, registry = await state.console.overview.seen(), state.clock.now(), state.directory.registry
    page, count = await _page(request, chosen)
    real = board.ordered(await state.console.overview.windows(board.STATUSES["current"], exercise=False))
    sums = board.sums(await standings(request, real))
    await shown(request, visitor, [*page, *([sums.following] if sums.following else [])])
    return render(
        request,
        "windows.html",
        seen=seen,
        rows=page,
        count=count,
        chosen=chosen,
        page_size=PAGE,
        scale=board.scale(page, now),
        agencies=_columns(page, chosen, registry.agencies),
        registry=registry,
        statuses=board.STATUSES,
        sums=sums,
        why=WHY,
        words=WORDS,
    )


@router.get("/windows.csv")
async def as_csv(request: Request, visitor: Viewer, chosen: Filters) -> Response:
    """The same as a table for a spreadsheet: one line for each release and agency."""
    found = await _rows(request, chosen)
    await shown(request, visitor, found)
    names = ("release", "release_id", "exercise", "status", "opens_at", "closes_at", "agency", "answer", "overdue")
    lines = [
        {
            "release": row.name,
            "release_id": row.release_id,
            "exercise": row.window["exercise"],
            **{name: row.window.get(name, "") for name in ("status", "opens_at", "closes_at")},
            "agency": agency,
            "answer": WORDS[one.state] if one else "",
            "overdue": one.is_overdue if one else "",
            "why": one.why if one else "",
            "told_at": iso(one.told_at) if one else "",
        }
        for row in found
        for agency, one in (row.agencies.items() or (("", None),))
    ]
    return csv_file(request, "windows", (*names, "why", "told_at"), lines)


@router.post("/search")
async def search(request: Request, visitor: Viewer, said: Sent) -> Response:
    """Finds a release by its lab, reference, model or id. A reference never stands in an address: so it is sent."""
    text = said.get("text", "").strip()[:200]
    state = request.app.state
    lab, _, reference = text.partition("/")
    release_id = state.directory.registry.release_id(lab, reference) if reference else None
    overview = state.console.overview
    windows = [one for one in await overview.named(text, release_id) if _is_named(one, text)] if text else []
    if len(windows) == 1:
        return RedirectResponse(f"{PAGE_PATH}/releases/{windows[0]['release_id']}", 303)
    found = await standings(request, board.ordered(windows)[:PAGE])
    await shown(request, visitor, found)
    return render(request, "search.html", text=text, rows=found, count=len(windows))


async def _page(request: Request, chosen: Filter) -> tuple[list[Row], int]:
    """The rows of a page, and how many there are in all."""
    if chosen.agency or chosen.overdue:
        found = await _rows(request, chosen)
        return found[chosen.start : chosen.start + PAGE], len(found)
    windows = await _windows(request, chosen)
    return await standings(request, windows[chosen.start : chosen.start + PAGE]), len(windows)


async def _rows(request: Request, chosen: Filter) -> list[Row]:
    """All of them."""
    found = await standings(request, await _windows(request, chosen))
    if chosen.agency:
        found = [row for row in found if chosen.agency in row.agencies]
    return [row for row in found if row.overdue] if chosen.overdue else found


async def _windows(request: Request, chosen: Filter) -> list[dict[str, Any]]:
    exercise = {"with": None, "only": True, "without": False}[chosen.drills]
    overview, statuses = request.app.state.console.overview, board.STATUSES[chosen.status]
    return board.ordered(await overview.windows(statuses, lab=chosen.lab or None, exercise=exercise))


async def standings(request: Request, windows: Sequence[dict[str, Any]]) -> list[Row]:
    """Windows with their agencies, some at a time: between these others have their turn."""
    state, found = request.app.state, []
    overview, registry, now = state.console.overview, state.directory.registry, state.clock.now()
    for start in range(0, len(windows), AT_ONCE):
        some = windows[start : start + AT_ONCE]
        releases = [one["release_id"] for one in some]
        alerts, answers = await overview.alerts(releases), await overview.answers(releases)
        found += board.rows(some, alerts, answers, registry, now)
    return found


async def shown(request: Request, visitor: Visitor, rows: Sequence[Row]) -> None:
    """Writes down that these are about to be shown. Raises Problem 503: then they are not."""
    about = [{"data": {"release_id": row.release_id}} for row in rows]
    await request.app.state.audit.shown(request.state.request_id, visitor, "window.read", about)


def _columns(rows: list[Row], chosen: Filter, known: dict[str, object]) -> list[str]:
    if chosen.agency:
        return [chosen.agency]
    return sorted({*known, *(agency for row in rows for agency in row.agencies)})


def _is_named(window: dict[str, Any], text: str) -> bool:
    """Not by what else it says: who looks for a word learns of no other field whether it holds it."""
    statement = window["statement"]
    name = f"{window['lab']}/{statement['reference']}"
    return any(text.lower() in str(one).lower() for one in (name, statement["model"]["name"], window["release_id"]))
