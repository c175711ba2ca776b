"""What would come of a lab's event, and who would be told: a dry run, on what the read model knows. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from schemas.forecast import Standing, Telling, forecast
from schemas.notice import Warned
from schemas.plan import Course, plan
from schemas.receipt import PlannedWindow
from schemas.registry import Registry
from schemas.release import Release, ReleaseWithdrawn
from schemas.routing import addressed
from schemas.statement import Judged, Known, judge, judge_withdrawal, refusals, withdrawal_refusals
from schemas.window import Window
from services.gateway.door.problem import refused


class Trial(BaseModel):
    """What would come of it. Nothing was written."""

    dry_run: Literal[True] = True
    outcome: Literal["accepted", "unchanged"]
    release_id: str
    revision: int
    life: int
    changed: tuple[str, ...] = ()
    warnings: tuple[Warned, ...] = ()
    window: PlannedWindow
    would_tell: list[Telling] = Field(description="who would be told, when and why, if nothing else is said")


@dataclass(frozen=True, slots=True)
class Found:
    """What the read model holds of a lab's release: announcement, window, and who was told, oldest first."""

    announcement: dict[str, Any] | None
    window: dict[str, Any] | None
    disclosures: list[dict[str, Any]]


def tried(
    lab: str, said: Release | ReleaseWithdrawn, release_id: str, found: Found, registry: Registry, now: datetime
) -> Trial:
    """What would come of a statement or a withdrawal. Raises Problem: what would be refused is refused."""
    before, window = found.announcement, _window(found)
    known = _known(before, window)
    release = known.statement if isinstance(said, ReleaseWithdrawn) else said
    reasons = (
        withdrawal_refusals(known, said.stated_at) if isinstance(said, ReleaseWithdrawn) else refusals(known, said)
    )
    if reasons or release is None:
        raise refused(reasons)
    judged = judge_withdrawal(known, now) if said is not release else judge(known, release, registry, now)
    return Trial(
        outcome="unchanged" if judged.unchanged else "accepted",
        release_id=release_id,
        revision=(before["revision"] if before else 0) + (not judged.unchanged),
        life=(before["life"] if before else 1) + judged.planned.new_life,
        changed=judged.changed,
        warnings=judged.warnings,
        window=_outline(judged),
        would_tell=forecast(release, lab, registry, judged, _standing(known, window, found, registry), now),
    )


def _known(before: dict[str, Any] | None, window: Window | None) -> Known:
    if before is None:
        return Known()
    statement = Release.model_validate_json(json.dumps(before["statement"]), extra="ignore")
    if window is None:  # not yet projected
        course = plan(statement, None, datetime.fromisoformat(before["recorded_at"])).course
    else:
        course = Course.model_construct(**{name: getattr(window, name) for name in Course.model_fields})
    # When an unchanged statement or a withdrawal was stated is in no event: a `stale` of that kind is not foreseen.
    return Known(statement, before["withdrawn"], course, statement.stated_at)


def _window(found: Found) -> Window | None:
    return None if found.window is None else Window.model_validate_json(json.dumps(found.window), extra="ignore")


def _standing(known: Known, window: Window | None, found: Found, registry: Registry) -> Standing | None:
    if window is None or known.statement is None:
        return None
    told = {one["agency"]: one["kind"] for one in found.disclosures if one["life"] == window.life}  # the last counts
    still = {agency for agency, kind in told.items() if kind != "no-longer-addressed"}
    return Standing(
        status=window.status,
        short_notice=window.short_notice,
        policy=window.policy,
        planned=window.opens_at is not None,
        addressed=frozenset(addressed(known.statement, window.lab, registry)) | still,
        heard=frozenset(told),
    )


def _outline(judged: Judged) -> PlannedWindow:
    course = judged.planned.course
    return PlannedWindow(status=course.status, opens_at=course.opens_at, closes_at=course.closes_at)
