"""Decides what a lab's event makes of the release: recorded, revised, withdrawn, unchanged or refused.

Nothing is refused for what it says: only for its order (`stale`), a secret in it, a changed `exercise`, or a
withdrawal of what was never announced. Form and origin are the gateway's.
"""

from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from schemas.announcement import Announcement, AnnouncementRecorded, AnnouncementRevised, AnnouncementWithdrawn
from schemas.command import Command, Received
from schemas.envelope import Emitted, Event, derived_id
from schemas.notice import Refused, Warned
from schemas.plan import Course, Plan, advanced, plan, withdrawn
from schemas.receipt import (
    Answered,
    PlannedWindow,
    ReceiptAccepted,
    ReceiptRefused,
    ReceiptUnchanged,
    recall,
    remember,
)
from schemas.registry import Registry
from schemas.release import Release, ReleaseWithdrawn
from services.announcements.secrets import secret_in
from services.announcements.state import AnnouncementState

MATERIAL = frozenset(
    {
        "trusted_partner_release_at",
        "public_release_at",
        "embargo_until",
        "early_access",
        "capabilities",
        "audience",
        "tlp",
        "handling",
    }
)
"""Fields of a release whose change reaches the agencies."""


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
    release = Release.model_construct(**dict(event.data))
    refusals = [*_out_of_order(state, release.stated_at), *_secrets(release), *_exercise(state, release)]
    if refusals:
        return [_refused(command, state, refusals, now, release.reference)]
    known = advanced(state.course, now) if state.course else None
    planned = plan(release, known, now)
    before = state.announcement
    changed = _changed(before.statement, release) if before else ()
    warnings = (*planned.warnings, *_unknown(release, command.registry))
    followed = Followed(planned.course, release.stated_at or state.stated_at)
    if before is not None and not changed and not state.withdrawn:
        return [followed, _receipt(ReceiptUnchanged, command, state, now, planned.course, warnings)]
    announcement = Announcement(
        release_id=event.subject or "",
        lab=event.origin,
        life=_life(before, planned),
        revision=before.revision + 1 if before else 1,
        recorded_at=now,
        statement=release,
    )
    recorded: AnnouncementRecorded | AnnouncementRevised
    if before is None or state.withdrawn:
        recorded = AnnouncementRecorded(announcement=announcement)
    else:
        material = not MATERIAL.isdisjoint(changed)
        recorded = AnnouncementRevised(announcement=announcement, changed=changed, material=material)
    after = state.model_copy(update={"announcement": announcement})
    receipt = _receipt(ReceiptAccepted, command, after, now, planned.course, warnings, changed)
    return [recorded, followed, receipt]


def _withdraw(
    state: AnnouncementState, command: Received, withdrawal: ReleaseWithdrawn, now: datetime
) -> list[Emitted]:
    before = state.announcement
    if before is None or state.course is None:
        said = "this release was never announced: nothing to withdraw"
        refusal = Refused(code="unknown_release", message=said, field="reference")
        return [_refused(command, state, [refusal], now, withdrawal.reference)]
    if refusals := _out_of_order(state, withdrawal.stated_at):
        return [_refused(command, state, refusals, now, withdrawal.reference)]
    known = advanced(state.course, now)
    followed = Followed(withdrawn(known), withdrawal.stated_at or state.stated_at)
    if state.withdrawn:
        return [followed, _receipt(ReceiptUnchanged, command, state, now, followed.course)]
    announcement = before.model_copy(update={"revision": before.revision + 1, "recorded_at": now})
    after = state.model_copy(update={"announcement": announcement})
    warnings: tuple[Warned, ...] = ()
    if known.ended:
        said = f"the window is {known.status}: the withdrawal is only recorded"
        warnings = (Warned(code="after_the_end", message=said),)
    receipt = _receipt(ReceiptAccepted, command, after, now, followed.course, warnings)
    return [AnnouncementWithdrawn(announcement=announcement), followed, receipt]


def _life(before: Announcement | None, planned: Plan) -> int:
    if before is None:
        return 1
    return before.life + 1 if planned.new_life else before.life


def _changed(before: Release, after: Release) -> tuple[str, ...]:
    names = (name for name in Release.model_fields if name != "stated_at")
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))


def _out_of_order(state: AnnouncementState, stated_at: datetime | None) -> list[Refused]:
    if stated_at is None or state.stated_at is None or stated_at >= state.stated_at:
        return []
    said = "a later statement stands already; leave stated_at out, or state anew with the present time"
    return [Refused(code="stale", message=said, field="stated_at")]


def _exercise(state: AnnouncementState, release: Release) -> list[Refused]:
    if state.announcement is None or state.announcement.statement.exercise == release.exercise:
        return []
    said = "an exercise is never turned into a real release, nor the other way round: use another reference"
    return [Refused(code="exercise_changed", message=said, field="exercise")]


def _secrets(release: Release) -> list[Refused]:
    access = release.early_access.access if release.early_access else None
    if access is None:
        return []
    return [
        Refused(
            code="secret_in_access",
            message=f"this looks like {kind}; say how access is arranged, and hand secrets over person to person",
            field=f"early_access.access.{name}",
        )
        for name, text in (("how", access.how), ("contact", access.contact))
        if (kind := secret_in(text)) is not None
    ]


def _unknown(release: Release, registry: Registry) -> tuple[Warned, ...]:
    """What the registry does not know: it is accepted all the same, since new models do new things."""
    warnings = []
    for capability in release.capabilities:
        if capability not in registry.capabilities:
            near = get_close_matches(capability, sorted(registry.capabilities), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            said = f"{capability} is not in the registry: it reaches the agencies that take all capabilities{hint}"
            warnings.append(Warned(code="unknown_capability", message=said, field="capabilities"))
    for name, agencies in (("agencies", release.audience.agencies), ("exclude", release.audience.exclude)):
        for agency in agencies:
            if agency not in registry.agencies:
                near = get_close_matches(agency, sorted(registry.agencies), n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                said = f"{agency} is no agency of the registry{hint}"
                warnings.append(Warned(code="unknown_agency", message=said, field=f"audience.{name}"))
    return tuple(warnings)


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
    receipt = kind(
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
    return PlannedWindow(status=course.status, opens_at=course.opens_at, closes_at=course.closes_at)
