"""Decides what an agency's answer counts for, and what follows from silence. Nothing here reaches a window."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from schemas.acknowledgement import AcknowledgementOverdue, AcknowledgementSubmitted, ReminderDue
from schemas.alert import AlertIssued
from schemas.command import Command, Received, TimerDue
from schemas.envelope import Emitted
from schemas.receipt import Answered, remember
from schemas.window import Window, WindowClosed, WindowWithdrawn
from services.acknowledgements.answer import Recorded, answer
from services.acknowledgements.earlier import Sent
from services.acknowledgements.state import AcknowledgementState, Chase, Standing


@dataclass(frozen=True, slots=True)
class Noted(Emitted):
    """An agency's standing from now on."""

    agency: str
    standing: Standing
    release_id: str


@dataclass(frozen=True, slots=True)
class Followed(Emitted):
    """The window as it stands from now on."""

    window: Window


@dataclass(frozen=True, slots=True)
class Shrunk(Emitted):
    """The window ended long ago: only its end is kept."""


def decide(state: AcknowledgementState | None, command: Command, now: datetime) -> list[Emitted]:
    """The events that follow from an answer, an alert, a window's change, or silence."""
    state = state or AcknowledgementState()
    if isinstance(command, TimerDue):
        return _chase(state, command, now) if command.name == "chase" else [Shrunk()]
    if not isinstance(command, Received):
        return []
    data = command.event.data
    if isinstance(data, AcknowledgementSubmitted):
        return answer(state, command, data, now)
    if isinstance(data, AlertIssued):
        return [Noted(data.agency, _sent(state, data, command.event.traceparent).folded(), data.release_id)]
    return _follow(state, data.window, isinstance(data, WindowClosed), isinstance(data, WindowWithdrawn), now)


def evolve(state: AcknowledgementState | None, emitted: Emitted) -> AcknowledgementState:
    """The state after one emitted event."""
    state = state or AcknowledgementState()
    match emitted:
        case Noted():
            state = state.model_copy(update={"release_id": emitted.release_id})
            return _with(state, emitted.agency, emitted.standing)
        case Recorded():
            return _with(state, emitted.agency, emitted.standing)
        case Answered():
            agency = emitted.receipt.participant
            standing = state.agencies.get(agency)
            if standing is None:  # who was never told anything leaves no trace here: its edge remembers its events
                return state
            return _with(state, agency, standing.model_copy(update={"answers": remember(standing.answers, emitted)}))
        case Followed():
            window = emitted.window
            ended = window.status if window.status in {"closed", "withdrawn"} else None
            update = {
                "release_id": window.release_id,
                "life": window.life,
                "ended": ended,
                "ended_at": window.ended_at if ended else None,
                "exercise": window.exercise,
                "shrunk": False,
            }
            return state.model_copy(update=update)
        case Shrunk():
            return state.model_copy(update={"agencies": {}, "shrunk": True})
    return state


def _with(state: AcknowledgementState, agency: str, standing: Standing) -> AcknowledgementState:
    return state.model_copy(update={"agencies": {**state.agencies, agency: standing}})


def _sent(state: AcknowledgementState, alert: AlertIssued, trace: str | None) -> Standing:
    """Takes an alert over: a new one that asks supersedes the chase of those before it.

    One that comes so late that its window has ended by then is not chased, as none is that the end finds unanswered.
    """
    standing = state.standing(alert.agency)
    original = alert.repeats or alert.alert_id
    due = next((a.due_at for a in alert.answer_by if a.tier == alert.tier), None)
    sent = Sent(kind=alert.kind, life=alert.life, original=original, due_at=due, sequence=alert.sequence)
    if alert.life > standing.life:
        standing = standing.in_life(alert.life)
    standing = standing.model_copy(update={"sent": {**standing.sent, alert.alert_id: sent}})
    if alert.asks is None or alert.repeats is not None:
        return standing
    chase = None
    has_ended = state.life > alert.life or (state.life == alert.life and state.ended is not None)
    moot = (standing.disposition == "declined" or has_ended) and alert.kind != "withdrawn"
    if alert.chased and alert.answer_by and not moot:
        chase = Chase(
            alert_id=alert.alert_id, kind=alert.kind, life=alert.life, answer_by=alert.answer_by, traceparent=trace
        )
    return standing.model_copy(update={"asking": alert.alert_id, "chase": chase})


def _follow(state: AcknowledgementState, window: Window, closed: bool, withdrawn: bool, now: datetime) -> list[Emitted]:
    """A window's end ends the chasing of all but its withdrawal; what was unanswered at the closing is overdue."""
    state = state.model_copy(update={"release_id": window.release_id})
    events: list[Emitted] = [Followed(window)]
    if not (closed or withdrawn):
        return events
    for agency, standing in sorted(state.agencies.items()):
        chase = standing.chase
        if chase is None or chase.kind == "withdrawn":
            continue
        if closed:
            events.append(_overdue(state, agency, chase, chase.due_at, now, closed=True))
        events.append(Noted(agency, standing.model_copy(update={"chase": None}), window.release_id))
    return events


def _chase(state: AcknowledgementState, command: TimerDue, now: datetime) -> list[Emitted]:
    """Silence: a reminder to the tier that was asked, then the next tier; at last nobody."""
    due = state.next_chase()
    if due is None:
        return []
    agency, chase = due
    standing, last = state.standing(agency), chase.tier + 1 == len(chase.answer_by)
    events: list[Emitted] = []
    if not chase.reminded:
        events.append(_overdue(state, agency, chase, command.due_at, now))
        events.append(_reminder(state, agency, chase, "reminder", command.due_at))
        following: Chase | None = chase.model_copy(update={"reminded": True})
    elif last:
        events.append(_overdue(state, agency, chase, command.due_at, now, exhausted=True))
        following = None
    else:
        following = chase.model_copy(update={"tier": chase.tier + 1, "reminded": False})
        events.append(_reminder(state, agency, following, "escalation", command.due_at))
    return [*events, Noted(agency, standing.model_copy(update={"chase": following}), state.release_id)]


def _overdue(
    state: AcknowledgementState,
    agency: str,
    chase: Chase,
    due_at: datetime,
    now: datetime,
    *,
    exhausted: bool = False,
    closed: bool = False,
) -> AcknowledgementOverdue:
    return AcknowledgementOverdue(
        release_id=state.release_id,
        agency=agency,
        alert_id=chase.alert_id,
        life=chase.life,
        tier=chase.answer_by[chase.tier].tier,
        due_at=due_at,
        happened_at=now,
        exhausted=exhausted,
        closed=closed,
        exercise=state.exercise,
    )


def _reminder(
    state: AcknowledgementState,
    agency: str,
    chase: Chase,
    kind: Literal["reminder", "escalation"],
    due_at: datetime,
) -> ReminderDue:
    return ReminderDue(
        release_id=state.release_id,
        agency=agency,
        alert_id=chase.alert_id,
        life=chase.life,
        tier=chase.answer_by[chase.tier].tier,
        chase=kind,
        due_at=due_at,
        exercise=state.exercise,
    )
