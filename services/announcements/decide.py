"""Decides what a lab's event makes of the release: recorded, revised, withdrawn, unchanged or refused.

Nothing is refused for what it says: only for its order (`stale`), a secret in it, a changed `exercise`, or a
withdrawal of what was never announced. Form and origin are the gateway's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.announcement import Announcement, AnnouncementRecorded, AnnouncementRevised, AnnouncementWithdrawn
from schemas.command import Command, Received
from schemas.envelope import Emitted, Event, derived_id
from schemas.notice import Refused, Warned
from schemas.plan import Course, Plan
from schemas.receipt import (
    Answered,
    PlannedWindow,
    ReceiptAccepted,
    ReceiptRefused,
    ReceiptUnchanged,
    recall,
    remember,
)
from schemas.release import Release, ReleaseWithdrawn
from schemas.statement import Known, judge, judge_withdrawal, refusals, withdrawal_refusals
from services.announcements.state import AnnouncementState


@dataclass(frozen=True, slots=True)
class Followed(Emitted):
    """What the state takes over beside the announcement: the course of the window and the lab's own time."""

    course: Course
    stated_at: datetime | None

    def topics(self) -> tuple[str, ...]:
        return ()


def decide(state: AnnouncementState | None, command: Command, now: datetime) -> list[Emitted]:
    """The events that follow from a lab's event; exactly one of them is a receipt."""
    if not isinstance(command, Received):
        return []
    state = state or AnnouncementState()
    event = command.event
    if event.repeat:
        again = recall(state.answers, event.senderid)
        return [again or _receipt(ReceiptUnchanged, command, state, now)]
    if isinstance(event.data, ReleaseWithdrawn):
        return _withdraw(state, command, event.data, now)
    return _announce(state, command, event, now)


def evolve(state: AnnouncementState | None, emitted: Emitted) -> AnnouncementState:
    """The state after one emitted event."""
    state = state or AnnouncementState()
    match emitted:
        case Answered():
            return state.model_copy(update={"answers": remember(state.answers, emitted)})
        case Followed():
            return state.model_copy(update={"course": emitted.course, "stated_at": emitted.stated_at})
        case AnnouncementWithdrawn():
            return state.model_copy(update={"announcement": emitted.announcement, "withdrawn": True})
        case AnnouncementRecorded() | AnnouncementRevised():
            return state.model_copy(update={"announcement": emitted.announcement, "withdrawn": False})
    return state


def _announce(state: AnnouncementState, command: Received, event: Event[Any], now: datetime) -> list[Emitted]:
    release, known = Release.model_construct(**vars(event.data)), _known(state)
    if reasons := refusals(known, release):
        return [_refused(command, state, reasons, now, release.reference)]
    judged = judge(known, release, command.registry, now)
    planned, before = judged.planned, state.announcement
    followed = Followed(planned.course, release.stated_at or state.stated_at)
    if judged.unchanged:
        return [followed, _receipt(ReceiptUnchanged, command, state, now, planned.course, judged.warnings)]
    announcement = Announcement.model_construct(
        release_id=event.subject or "",
        lab=event.origin,
        life=_life(before, planned),
        revision=before.revision + 1 if before else 1,
        recorded_at=now,
        statement=release,
    )
    recorded: AnnouncementRecorded | AnnouncementRevised
    if before is None or state.withdrawn:
        recorded = AnnouncementRecorded.model_construct(announcement=announcement)
    else:
        recorded = AnnouncementRevised.model_construct(
            announcement=announcement, changed=judged.changed, material=judged.material
        )
    after = state.model_copy(update={"announcement": announcement})
    receipt = _receipt(ReceiptAccepted, command, after, now, planned.course, judged.warnings, judged.changed)
    return [recorded, followed, receipt]


def _withdraw(
    state: AnnouncementState, command: Received, withdrawal: ReleaseWithdrawn, now: datetime
) -> list[Emitted]:
    known, before = _known(state), state.announcement
    if reasons := withdrawal_refusals(known, withdrawal.stated_at):
        return [_refused(command, state, reasons, now, withdrawal.reference)]
    judged = judge_withdrawal(known, now)
    course = judged.planned.course
    followed = Followed(course, withdrawal.stated_at or state.stated_at)
    if before is None or judged.unchanged:
        return [followed, _receipt(ReceiptUnchanged, command, state, now, course)]
    announcement = before.model_copy(update={"revision": before.revision + 1, "recorded_at": now})
    after = state.model_copy(update={"announcement": announcement})
    receipt = _receipt(ReceiptAccepted, command, after, now, course, judged.warnings)
    return [AnnouncementWithdrawn(announcement=announcement), followed, receipt]


def _known(state: AnnouncementState) -> Known:
    before = state.announcement
    return Known(before.statement if before else None, state.withdrawn, state.course, state.stated_at)


def _life(before: Announcement | None, planned: Plan) -> int:
    if before is None:
        return 1
    return before.life + 1 if planned.new_life else before.life


def _receipt(
    kind: type[ReceiptAccepted] | type[ReceiptUnchanged],
    command: Received,
    state: AnnouncementState,
    now: datetime,
    course: Course | None = None,
    warnings: tuple[Warned, ...] = (),
    changed: tuple[str, ...] = (),
) -> Answered:
    event, announcement = command.event, state.announcement
    stands = course or state.course
    more = {"changed": changed} if kind is ReceiptAccepted else {}
    receipt = kind.model_construct(
        participant=event.origin,
        event_id=event.senderid,
        release_id=event.subject,
        reference=event.data.reference,
        revision=announcement.revision if announcement else None,
        life=announcement.life if announcement else None,
        exercise=announcement.statement.exercise if announcement else False,
        warnings=warnings,
        window=_outline(stands) if stands else None,
        **more,  # type: ignore[arg-type]
    )
    return Answered(receipt, derived_id(command.cause, "receipt"), now)


def _refused(
    command: Received, state: AnnouncementState, reasons: list[Refused], now: datetime, reference: str
) -> Answered:
    event, announcement = command.event, state.announcement
    receipt = ReceiptRefused(
        participant=event.origin,
        event_id=event.senderid,
        release_id=event.subject,
        reference=reference,
        revision=announcement.revision if announcement else None,
        life=announcement.life if announcement else None,
        exercise=announcement.statement.exercise if announcement else False,
        reasons=tuple(reasons),
    )
    return Answered(receipt, derived_id(command.cause, "receipt"), now)


def _outline(course: Course) -> PlannedWindow:
    return PlannedWindow.model_construct(status=course.status, opens_at=course.opens_at, closes_at=course.closes_at)
