"""The plan of a window from a release: what a lab's receipt and the window must agree on.

Source: the executive order's "up to 30 days" (`LONGEST`), and the rule that a window closes at the latest with the
trusted-partner release.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.notice import Warned
from schemas.release import EarlyAccess, Release
from schemas.values import Instant, Strict, WindowStatus, rfc3339
from schemas.window import LONGEST, SHORT_NOTICE, EndReason


class Course(Strict):
    """A window's course as far as it is known: enough to plan the next statement on.

    `reason` says why it ended; while it has not, why it will close.
    """

    status: WindowStatus
    opens_at: Instant | None = None
    closes_at: Instant | None = None
    reason: EndReason | None = None

    @property
    def ended(self) -> bool:
        """Whether this life is over."""
        return self.status in {"closed", "withdrawn"}


class Plan(NamedTuple):
    """What a statement makes of the window. `new_life`: it begins one; `course` unchanged: it is only recorded."""

    course: Course
    warnings: tuple[Warned, ...] = ()
    short_notice: bool = False
    new_life: bool = False


class _Offer(NamedTuple):
    opens_at: datetime
    closes_at: datetime
    warnings: tuple[Warned, ...]


def advanced(course: Course, now: datetime) -> Course:
    """The course as time alone moves it: scheduled, open, closed."""
    if course.status == "scheduled" and course.opens_at is not None and course.opens_at <= now:
        course = course.model_copy(update={"status": "open"})
    if course.status == "open" and course.closes_at is not None and course.closes_at <= now:
        course = course.model_copy(update={"status": "closed", "reason": course.reason or "release"})
    return course


def withdrawn(course: Course) -> Course:
    """The course after the lab withdrew the release: what has closed stays closed."""
    return course if course.ended else _withdrawn_as(course, "withdrawn")


def plan(release: Release, known: Course | None, now: datetime) -> Plan:
    """Plans the window from a statement made at `now`, on the course known so far (None: nothing stated before)."""
    past = (
        (_warned("release_in_the_past", "the trusted-partner release lies in the past", "trusted_partner_release_at"),)
        if release.trusted_partner_release_at <= now
        else ()
    )
    if known is None:
        return _with(past, _fresh(release, now, None))
    if known.status == "open":
        return _with(past, _while_open(release, known, now))
    if not known.ended:
        return _with(past, _fresh(release, now, known if known.status == "scheduled" else None))
    fresh = _fresh(release, now, None)
    if known.reason == "withdrawn" or fresh.course.status in {"scheduled", "open"}:
        return _with(past, Plan(fresh.course, fresh.warnings, fresh.short_notice, new_life=True))
    return _with(
        past,
        Plan(known, (_warned("after_the_end", f"the window is {known.status}: this statement is only recorded"),)),
    )


def _fresh(release: Release, now: datetime, told: Course | None) -> Plan:
    """A window that is not open. `told`: what agencies know of, to be withdrawn rather than merely not offered."""
    if release.early_access is None:
        return Plan(_withdrawn_as(told, "offer_withdrawn") if told else Course(status="not-offered"))
    offer = _offer(release, release.early_access)
    ends: EndReason | None = None
    if told and release.trusted_partner_release_at <= now:
        ends = "release_reached"
    elif offer.closes_at <= max(offer.opens_at, now):
        ends = "no_time_left"
    if ends is not None:
        warning = _warned(ends, "no time is left between the opening and the closing", "early_access")
        course = _withdrawn_as(told, ends) if told else Course(status="not-offered", reason=ends)
        return Plan(course, (*offer.warnings, warning))
    short = offer.opens_at - now < SHORT_NOTICE
    warnings = offer.warnings
    if short:
        at_once = offer.opens_at <= now
        said = "it opens at once" if at_once else "the opening is less than 3 days away"
        warnings += (_warned("short_notice", said, "early_access.opens", offer.opens_at),)
    status: WindowStatus = "open" if offer.opens_at <= now else "scheduled"
    course = Course(
        status=status,
        opens_at=offer.opens_at,
        closes_at=offer.closes_at,
        reason=closing_reason(release, offer.closes_at),
    )
    return Plan(course, warnings, short)


def _while_open(release: Release, known: Course, now: datetime) -> Plan:
    """A window that is open stays open and keeps its opening, whatever the statement plans."""
    if release.early_access is None:
        return Plan(_withdrawn_as(known, "offer_withdrawn"))
    offer = _offer(release, release.early_access, opened=True)
    warnings = offer.warnings
    if offer.opens_at > now:
        said = "the window is open and stays open; the opening planned here is ignored"
        warnings += (_warned("already_open", said, "early_access.opens", known.opens_at),)
    status: WindowStatus = "closed" if offer.closes_at <= now else "open"
    update = {"status": status, "closes_at": offer.closes_at, "reason": closing_reason(release, offer.closes_at)}
    return Plan(known.model_copy(update=update), warnings)


def _withdrawn_as(course: Course, reason: EndReason) -> Course:
    return course.model_copy(update={"status": "withdrawn", "reason": reason})


def _offer(release: Release, offered: EarlyAccess, *, opened: bool = False) -> _Offer:
    """The instants that apply, clamped; `opened`: the opening has been, so it is not clamped any more."""
    at = release.trusted_partner_release_at
    warnings: list[Warned] = []
    opens = at - offered.opens if isinstance(offered.opens, timedelta) else offered.opens
    earliest = at - LONGEST
    if opens < earliest and not opened:
        said = f"early access is at most 30 days: it opens {rfc3339(earliest)}"
        warnings.append(_warned("opening_clamped", said, "early_access.opens", earliest))
        opens = earliest
    closes = offered.closes_at or at
    if closes > at:
        said = f"a window closes at the latest with the trusted-partner release: {rfc3339(at)}"
        warnings.append(_warned("closing_clamped", said, "early_access.closes_at", at))
        closes = at
    return _Offer(opens, closes, tuple(warnings))


def closing_reason(release: Release, closes_at: datetime) -> EndReason:
    """Why a window that closes then is closed."""
    return "release" if closes_at == release.trusted_partner_release_at else "lab_closing"


def _warned(code: str, message: str, field: str | None = None, applies: datetime | None = None) -> Warned:
    return Warned.model_validate({"code": code, "message": message, "field": field, "applies": applies})


def _with(first: tuple[Warned, ...], planned: Plan) -> Plan:
    return Plan(planned.course, (*first, *planned.warnings), planned.short_notice, planned.new_life)
