"""Decides one answer of an agency: what it counts for, or why it is refused."""

from dataclasses import dataclass
from datetime import datetime

from schemas.acknowledgement import AcknowledgementRecorded, AcknowledgementSubmitted
from schemas.command import Received
from schemas.envelope import Emitted, derived_id
from schemas.notice import Refusal, Refused, Warned
from schemas.receipt import Answered, ReceiptAccepted, ReceiptRefused, ReceiptUnchanged, recall
from schemas.values import rfc3339
from schemas.window import KEPT_AFTER_END
from services.acknowledgements.earlier import Sent
from services.acknowledgements.state import AcknowledgementState, Standing

_ANSWERABLE = frozenset({"scheduled", "rescheduled", "opened", "closing-soon"})
"""Kinds to which an agency may say whether it takes part."""


@dataclass(frozen=True, slots=True)
class Recorded(Emitted):
    """An agency's standing after its answer."""

    agency: str
    standing: Standing


def answer(
    state: AcknowledgementState, command: Received, given: AcknowledgementSubmitted, now: datetime
) -> list[Emitted]:
    """Records, repeats or refuses an answer; exactly one receipt."""
    agency, event_id = command.event.origin, command.event.senderid
    standing = state.standing(agency)
    if command.event.repeat and (again := recall(standing.answers, event_id)) is not None:
        return [again]
    sent = standing.find(state.release_id, agency, given.alert_id)
    refusal = _refusal(state, standing, sent, given, now)
    if refusal is not None:
        return [_refused(state, command, given, refusal, now)]
    assert sent is not None, "an alert that was never sent is refused"  # noqa: S101
    if command.event.repeat or _stands(standing, sent, given):
        return [_receipt(ReceiptUnchanged, state, command, given, now, ())]
    after_end = state.ended is not None and given.disposition != "finished"
    late = after_end or (sent.due_at is not None and now > sent.due_at)
    superseded = sent.original != standing.asking and sent.kind in {"scheduled", "rescheduled", "opened", "withdrawn"}
    recorded = AcknowledgementRecorded(
        release_id=given.release_id,
        agency=agency,
        alert_id=given.alert_id,
        life=sent.life,
        disposition=given.disposition,
        by=given.by,
        late=late,
        superseded=superseded,
        exercise=state.exercise,
        recorded_at=now,
    )
    warnings = _warnings(standing, sent, late, superseded)
    receipt = _receipt(ReceiptAccepted, state, command, given, now, warnings)
    return [recorded, Recorded(agency, _after(standing, sent, given)), receipt]


def _refusal(
    state: AcknowledgementState,
    standing: Standing,
    sent: Sent | None,
    given: AcknowledgementSubmitted,
    now: datetime,
) -> Refused | None:
    if state.ended_at is not None and now > state.ended_at + KEPT_AFTER_END:
        return _because("too_late", f"answers were taken until {rfc3339(state.ended_at + KEPT_AFTER_END)}")
    if sent is None:
        return _because("unknown_alert", "this alert was never sent to you on this release", "alert_id")
    if given.disposition == "received":
        return None
    if sent.life != standing.life:
        return _because("too_late", "that window has ended and a new one has begun: answer its alerts", "alert_id")
    if given.disposition == "finished":
        if standing.disposition not in {"participating", "finished"}:
            return _because("illegal_order", "finished comes after participating", "disposition")
        return None
    if sent.kind in {"withdrawn", "no-longer-addressed", "announced"}:
        return _because("illegal_order", f"an alert of the kind {sent.kind} takes only received", "disposition")
    if state.ended is not None and state.life == sent.life:
        return _because("too_late", f"the window is {state.ended}: only received and finished are taken", "disposition")
    if standing.disposition == "finished":
        return _because("illegal_order", "finished is the last word", "disposition")
    if sent.kind not in _ANSWERABLE:
        return _because("too_late", "the window has closed: only received and finished are taken", "disposition")
    return None


def _because(code: Refusal, message: str, field: str | None = None) -> Refused:
    return Refused(code=code, message=message, field=field)


def _stands(standing: Standing, sent: Sent, given: AcknowledgementSubmitted) -> bool:
    """Whether the answer says nothing new."""
    return standing.is_received(sent) and given.disposition in {"received", standing.disposition}


def _after(standing: Standing, sent: Sent, given: AcknowledgementSubmitted) -> Standing:
    """Every disposition implies `received`; `declined` ends the chasing of this life, but for a withdrawal."""
    chase = standing.chase
    declined = given.disposition == "declined" and chase is not None and chase.kind != "withdrawn"
    answered = chase is not None and chase.alert_id == sent.original
    return standing.with_received(sent).model_copy(
        update={
            "disposition": standing.disposition if given.disposition == "received" else given.disposition,
            "chase": None if declined or answered else chase,
        }
    )


def _warnings(standing: Standing, sent: Sent, late: bool, superseded: bool) -> tuple[Warned, ...]:
    warnings = []
    if superseded:
        said = f"a newer alert asks for an answer: {standing.asking}"
        warnings.append(Warned(code="superseded", message=said, field="alert_id"))
    if late:
        said = f"it was due {rfc3339(sent.due_at)}" if sent.due_at is not None else "the window has ended"
        warnings.append(Warned(code="late", message=said, applies=sent.due_at))
    return tuple(warnings)


def _receipt(
    kind: type[ReceiptAccepted] | type[ReceiptUnchanged],
    state: AcknowledgementState,
    command: Received,
    given: AcknowledgementSubmitted,
    now: datetime,
    warnings: tuple[Warned, ...],
) -> Answered:
    receipt = kind(
        participant=command.event.origin,
        event_id=command.event.senderid,
        release_id=given.release_id,
        life=state.standing(command.event.origin).life or None,
        exercise=state.exercise,
        warnings=warnings,
        alert_id=given.alert_id,
        disposition=given.disposition,
    )
    return Answered(receipt, derived_id(command.cause, "receipt"), now)


def _refused(
    state: AcknowledgementState, command: Received, given: AcknowledgementSubmitted, reason: Refused, now: datetime
) -> Answered:
    receipt = ReceiptRefused(
        participant=command.event.origin,
        event_id=command.event.senderid,
        release_id=given.release_id,
        exercise=state.exercise,
        reasons=(reason,),
        alert_id=given.alert_id,
    )
    # The time at which the edge took it: a repeat is refused with the same bytes, also where nothing is remembered.
    return Answered(receipt, derived_id(command.cause, "receipt"), command.event.time or now)
