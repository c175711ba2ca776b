"""Who would be told what of a statement, at once and later. Pure: `registry route` and a dry run agree on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from schemas.alert import Why
from schemas.plan import Plan
from schemas.registry import Registry
from schemas.release import Release
from schemas.routing import addressed, wants
from schemas.statement import Judged
from schemas.values import AlertKind, WindowStatus
from schemas.window import WindowPolicy


@dataclass(frozen=True, slots=True)
class Telling:
    """One agency would be told this, then, and why it is told."""

    agency: str
    kind: AlertKind
    at: datetime
    why: Why


@dataclass(frozen=True, slots=True)
class Standing:
    """The window so far, in its life: its policy, whether an opening was planned, whom it addresses, who has heard."""

    status: WindowStatus
    short_notice: bool
    policy: WindowPolicy
    planned: bool
    addressed: frozenset[str]
    heard: frozenset[str]


def forecast(
    release: Release, lab: str, registry: Registry, judged: Judged, standing: Standing | None, now: datetime
) -> list[Telling]:
    """Everything that a statement leads to if nothing else is said, by agency. Nobody: it is only recorded."""
    planned = judged.planned
    if judged.unchanged:
        return []
    if standing is not None and not planned.new_life:
        withdraws = planned.course.status == "withdrawn"
        if standing.status in {"closed", "withdrawn"} or not (judged.material or withdraws):
            return []
    else:
        standing = None
    concerned, found = addressed(release, lab, registry), []
    short = planned.short_notice or (standing is not None and standing.status == "open" and standing.short_notice)
    later = list(_later(planned, standing.policy if standing else registry.policy, now))
    for agency, why in concerned.items():
        first = _first(judged, standing, agency)
        for kind, at in [(first, now), *later] if first else later:
            if wants(registry.agencies[agency], kind, short):
                found.append(Telling(agency, kind, at, _why(why, kind, short, registry.agencies[agency].kinds)))
    dropped = (standing.addressed & standing.heard) - concerned.keys() if standing else frozenset()
    found += [Telling(agency, "no-longer-addressed", now, "was-addressed") for agency in dropped]
    return sorted(found, key=lambda one: (one.agency, one.at))


def _first(judged: Judged, standing: Standing | None, agency: str) -> AlertKind | None:
    """What an agency that is addressed hears at once; who is newly addressed, the window as it stands."""
    status = judged.planned.course.status
    before = standing.status if standing else None
    kinds: dict[WindowStatus, AlertKind] = {
        "not-offered": "announced",
        "withdrawn": "withdrawn",
        "closed": "closed",
        "scheduled": "rescheduled" if before == "scheduled" else "scheduled",
        "open": "rescheduled" if before == "open" else "opened",
    }
    kind = kinds[status]
    if standing is None:
        return kind
    if kind == "withdrawn" and agency not in standing.heard and not standing.planned:
        return None
    if agency in standing.addressed:
        return None if set(judged.changed) == {"audience"} and kind in {"rescheduled", "announced"} else kind
    as_it_stands: dict[WindowStatus, AlertKind] = {
        "scheduled": "scheduled",
        "open": "opened",
        "not-offered": "announced",
    }
    return as_it_stands.get(status)


def _later(planned: Plan, policy: WindowPolicy, now: datetime) -> Iterator[tuple[AlertKind, datetime]]:
    course = planned.course
    if course.status not in {"scheduled", "open"} or course.closes_at is None:
        return
    opens_at = course.opens_at if course.status == "scheduled" and course.opens_at is not None else now
    if course.status == "scheduled":
        yield "opened", opens_at
    warn_at = course.closes_at - policy.closing_warning
    if warn_at > opens_at:
        yield "closing-soon", warn_at
    yield "closed", course.closes_at


def _why(why: Why, kind: AlertKind, short: bool, kinds: tuple[str, ...]) -> Why:
    left_out = short and kind in {"scheduled", "opened"} and kind not in kinds
    return "short-notice" if left_out and why == "matching" else why
