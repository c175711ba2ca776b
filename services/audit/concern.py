"""Whom a release concerns, what they want to hear, and when they are to have answered: the design's text, once more.

Source: the design, "Which alerts ask for what", "A release", "Cases decided".
"""

from datetime import datetime

from schemas.alert import Answer, Why
from schemas.registry import Agency, Registry
from schemas.release import Release
from schemas.values import AlertKind, WindowStatus
from schemas.window import Window, WindowPolicy

UNAVOIDABLE = frozenset({"rescheduled", "withdrawn", "no-longer-addressed"})
"""Cannot be opted out of."""

OPENINGS = frozenset({"scheduled", "opened"})
"""Never filtered out on short notice."""

ASKING = frozenset({"scheduled", "rescheduled", "opened", "withdrawn", "no-longer-addressed"})
CHASED = frozenset({"scheduled", "rescheduled", "opened", "withdrawn"})


def why_concerned(name: str, agency: Agency, release: Release, lab: str) -> Why | None:
    """Why an agency may learn of a release; None: it may not."""
    audience = release.audience
    if name in audience.exclude:
        return None
    if release.exercise and not agency.exercises:
        return None  # an exercise: only agencies that opted in to drills
    if audience.mode == "listed":
        return "listed" if name in audience.agencies else None
    wanted = agency.interests
    takes_lab = wanted.labs == "all" or lab in wanted.labs
    takes_what = wanted.capabilities == "all" or any(each in wanted.capabilities for each in release.capabilities)
    return "matching" if takes_lab and takes_what else None


def concerned(window: Window, registry: Registry) -> dict[str, Why]:
    """Everybody whom a window's statement concerns under a registry."""
    found: dict[str, Why] = {}
    for name, agency in registry.agencies.items():
        why = why_concerned(name, agency, window.statement, window.lab)
        if why is not None:
            found[name] = why
    return found


def takes(kinds: tuple[str, ...], kind: AlertKind, short_notice: bool) -> bool:
    """Whether who lists these kinds hears of one."""
    return kind in UNAVOIDABLE or kind in kinds or (short_notice and kind in OPENINGS)


def as_it_stands(status: WindowStatus) -> AlertKind | None:
    """What tells a newcomer of a window as it stands; None: there is nothing to look at."""
    told: dict[WindowStatus, AlertKind] = {"scheduled": "scheduled", "open": "opened"}
    return told.get(status)


def ladder(agency: Agency, policy: WindowPolicy, opens_at: datetime | None, issued_at: datetime) -> tuple[Answer, ...]:
    """Each tier's due times: one step to answer, one more until the next is told."""
    is_near = opens_at is not None and opens_at <= issued_at + policy.soon
    step = policy.answer_within_soon if is_near else policy.answer_within
    rungs = []
    for number, tier in enumerate(agency.tiers):
        told_at = issued_at + 2 * number * step
        rungs.append(Answer(tier=tier, told_at=told_at, due_at=told_at + step, passed_at=told_at + 2 * step))
    return tuple(rungs)
