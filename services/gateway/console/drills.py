"""Drills: exercises, who answered, how fast, and what their endpoints took."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from services.gateway.console import board
from services.gateway.console.board import Row
from services.gateway.console.entrance import Viewer
from services.gateway.console.shell import render
from services.gateway.console.standing import WORDS
from services.gateway.console.windows import shown
from services.gateway.door.identity import PAGE_PATH

router = APIRouter(prefix=PAGE_PATH)

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Drill:
    """One exercise. `answered`: how long each agency took to answer; `endpoints`: how its deliveries stand."""

    row: Row
    begun_at: datetime | None
    answered: dict[str, timedelta]
    endpoints: dict[str, dict[str, int]]


@router.get("/drills")
async def drills(request: Request, visitor: Viewer) -> Response:
    """The last drills, and when the next is due."""
    state = request.app.state
    overview, known, now = state.console.overview, state.directory.registry, state.clock.now()
    seen = await overview.seen()
    windows = (await overview.windows(board.STATUSES["all"], exercise=True))[:SHOWN]
    releases = [one["release_id"] for one in windows]
    alerts, answers = await overview.alerts(releases), await overview.answers(releases)
    delivered = await overview.delivered(releases)
    rows = board.rows(windows, alerts, answers, known, now)
    found = [_drill(row, answers.get(row.release_id, []), delivered) for row in rows]
    found.sort(key=lambda one: one.begun_at or now, reverse=True)
    await shown(request, visitor, rows)
    last = next((one.begun_at for one in found if one.begun_at is not None), None)
    every = known.drills.every if known.drills else None
    return render(
        request,
        "drills.html",
        seen=seen,
        drills=found,
        plan=known.drills,
        due_at=last + every if last is not None and every is not None else None,
        willing=sorted(name for name, one in known.agencies.items() if one.exercises),
        words=WORDS,
    )


def _drill(row: Row, answers: list[dict[str, Any]], delivered: dict[tuple[str, str], dict[str, int]]) -> Drill:
    """`answers`: the release's, oldest first. The first of each agency counts."""
    answered: dict[str, timedelta] = {}
    for one in answers:
        data = one["data"]
        if "recorded_at" in data and data["agency"] in row.agencies:
            took = datetime.fromisoformat(data["recorded_at"]) - row.agencies[data["agency"]].told_at
            answered.setdefault(data["agency"], max(took, timedelta(0)))
    begun = min((one.told_at for one in row.agencies.values()), default=None)
    endpoints = {agency: delivered.get((row.release_id, agency), {}) for agency in row.agencies}
    return Drill(row, begun, answered, endpoints)
