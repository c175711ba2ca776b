"""Decides whom a change concerns, and what each of them is told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.acknowledgement import AcknowledgementRecorded, ReminderDue
from schemas.alert import AlertIssued, DisclosureMade
from schemas.command import Command, Received, RegistryChanged, TimerDue
from schemas.delivery import DeliveryCancelled, DeliveryRequested
from schemas.envelope import Emitted
from schemas.registry import Registry
from schemas.routing import addressed, wants
from schemas.values import AlertKind
from schemas.window import (
    Window,
    WindowClosed,
    WindowClosingSoon,
    WindowNotOffered,
    WindowOpened,
    WindowRescheduled,
    WindowScheduled,
    WindowWithdrawn,
)
from services.notifier.endpoints import Pushed, follow, still_pending
from services.notifier.state import FALLS_BACK, Asked, NotifierState, Told
from services.notifier.telling import Change, issued, told_of

_KINDS: dict[type[Any], AlertKind] = {
    WindowScheduled: "scheduled",
    WindowRescheduled: "rescheduled",
    WindowOpened: "opened",
    WindowClosingSoon: "closing-soon",
    WindowClosed: "closed",
    WindowWithdrawn: "withdrawn",
    WindowNotOffered: "announced",
}


@dataclass(frozen=True, slots=True)
class Routed(Emitted):
    """The window as it stands from now on, and whom it addresses."""

    window: Window
    agencies: frozenset[str]
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class AnswerNoted(Emitted):
    """An agency has answered the alert that asks."""

    agency: str


@dataclass(frozen=True, slots=True)
class Shrunk(Emitted):
    """The window ended long ago: only the sequences are kept, and what is pending at endpoints."""


def decide(state: NotifierState | None, command: Command, now: datetime) -> list[Emitted]:
    """The alerts that follow from a change, a reminder, a registry version; then what follows for endpoints.

    What is asked of endpoints comes last: alerts, receipts and their ids are the same with and without.
    """
    state = state or NotifierState()
    decided = _alerts(state, command, now)
    return decided + follow(state, command, decided, now)


def _alerts(state: NotifierState, command: Command, now: datetime) -> list[Emitted]:
    if isinstance(command, TimerDue):
        return [] if command.name == FALLS_BACK else [Shrunk()]
    if isinstance(command, RegistryChanged):
        return _reroute(state, command.registry, now)
    if not isinstance(command, Received):
        return []
    data = command.event.data
    if isinstance(data, ReminderDue):
        return _repeat(state, data, command.registry, now)
    if isinstance(data, AcknowledgementRecorded):
        asked = state.told(data.agency).asked
        return [AnswerNoted(data.agency)] if asked is not None and data.alert_id in asked.ids else []
    if type(data) in _KINDS:
        change = Change(
            data.window, command.registry, now, data.due_at, data.happened_at, data.changed, command.event.traceparent
        )
        return _tell(state, change, _KINDS[type(data)])
    return []


def evolve(state: NotifierState | None, emitted: Emitted) -> NotifierState:
    """The state after one emitted event."""
    state = state or NotifierState()
    if isinstance(emitted, DisclosureMade | DeliveryRequested | DeliveryCancelled):
        return state
    agencies = dict(state.agencies)
    match emitted:
        case AlertIssued():
            agencies[emitted.agency] = _after(state.told(emitted.agency), emitted)
        case AnswerNoted():
            told = state.told(emitted.agency)
            if told.asked is not None:
                asked = told.asked.model_copy(update={"answered": True})
                agencies[emitted.agency] = told.model_copy(update={"asked": asked})
        case Pushed():
            agencies[emitted.agency] = state.told(emitted.agency).model_copy(update={"push": emitted.push})
        case Routed():
            for agency in sorted(agencies.keys() | emitted.agencies):
                told = _in_life(state, emitted.window, agency)
                agencies[agency] = told.model_copy(update={"addressed": agency in emitted.agencies})
            return NotifierState.model_construct(
                life=emitted.window.life, window=emitted.window, agencies=agencies, traceparent=emitted.traceparent
            )
        case Shrunk():
            kept = {
                agency: Told(sequence=told.sequence, push=still_pending(told.push)) for agency, told in agencies.items()
            }
            return NotifierState(life=state.life, agencies=kept)
        case _:
            return state
    return state.model_copy(update={"agencies": agencies})


def _tell(state: NotifierState, change: Change, kind: AlertKind) -> list[Emitted]:
    """A window has changed: those addressed hear of it, those no longer addressed hear that."""
    window = change.window
    concerned = addressed(window.statement, window.lab, change.registry)
    only_audience = set(change.changed) == {"audience"} and kind in {"rescheduled", "announced"}
    events: list[Emitted] = [Routed(window, frozenset(concerned), change.traceparent)]
    for agency in sorted(state.agencies.keys() | concerned.keys()):
        told = _in_life(state, window, agency)
        if agency not in concerned:
            events += _drop(told, change, agency)
            continue
        as_it_stands = _standing(window)
        if told.addressed or window.life != state.life:
            heard: AlertKind | None = None if only_audience else kind
        else:
            heard = kind if as_it_stands is None and kind == "announced" else as_it_stands
        if kind == "withdrawn" and not told.told and state.window is not None and state.window.opens_at is None:
            continue  # nothing was offered, and this agency had not asked to hear of that
        if heard is not None and wants(change.registry.agencies[agency], heard, window.short_notice):
            events += told_of(told, change, agency, heard, concerned[agency])
    return events


def _reroute(state: NotifierState, registry: Registry, now: datetime) -> list[Emitted]:
    """A registry version: agencies that have become relevant, or are so no longer, hear it once."""
    window = state.window
    if window is None or window.status not in {"scheduled", "open"}:
        return []
    concerned = addressed(window.statement, window.lab, registry)
    if concerned.keys() == {agency for agency, told in state.agencies.items() if told.addressed}:
        return []
    change = Change(window, registry, now)
    events: list[Emitted] = [Routed(window, frozenset(concerned), state.traceparent)]
    for agency in sorted(state.agencies.keys() | concerned.keys()):
        told, heard = state.told(agency), _standing(window)
        if agency not in concerned:
            events += _drop(told, change, agency)
        elif not told.addressed and heard and wants(registry.agencies[agency], heard, window.short_notice):
            events += told_of(told, change, agency, heard, concerned[agency])
    return events


def _repeat(state: NotifierState, reminder: ReminderDue, registry: Registry, now: datetime) -> list[Emitted]:
    """An unanswered alert again, to the same tier or the next; dropped when it is no longer the latest that asks."""
    told, window = state.told(reminder.agency), state.window
    asked = told.asked
    if window is None or asked is None or asked.answered or reminder.alert_id != asked.ids[0]:
        return []
    change = Change(window, registry, now, happened_at=asked.happened_at)
    why = addressed(window.statement, window.lab, registry).get(reminder.agency, "was-addressed")
    alert = issued(told, change, reminder.agency, asked.kind, why)
    repeated = {
        "answer_by": asked.answer_by,
        "tier": reminder.tier,
        "repeats": asked.ids[0],
        "chase": reminder.chase,
        "due_at": None,
    }
    return [alert.model_copy(update=repeated)]


def _drop(told: Told, change: Change, agency: str) -> list[Emitted]:
    """Tells an agency once that it is no longer addressed; one that never heard of the release hears nothing."""
    if not told.addressed or not told.told:
        return []
    return told_of(told, change, agency, "no-longer-addressed", "was-addressed")


def _after(told: Told, alert: AlertIssued) -> Told:
    update: dict[str, Any] = {"sequence": alert.sequence, "told": True, "tlp": alert.tlp}
    if alert.repeats is not None and told.asked is not None:
        update["asked"] = told.asked.model_copy(update={"ids": (*told.asked.ids, alert.alert_id)})
    elif alert.asks is not None:
        update["asked"] = Asked.model_construct(
            ids=(alert.alert_id,),
            kind=alert.kind,
            life=alert.life,
            happened_at=alert.happened_at,
            answer_by=alert.answer_by,
        )
    return told.model_copy(update=update)


def _in_life(state: NotifierState, window: Window, agency: str) -> Told:
    """What an agency knows in the life of this window: of a new life, only the sequence and pushes go on."""
    told = state.told(agency)
    return told if window.life == state.life else Told(sequence=told.sequence, push=told.push)


def _standing(window: Window) -> AlertKind | None:
    """The kind of alert that tells a window as it stands; None when there is nothing to look at any more."""
    if window.status == "scheduled":
        return "scheduled"
    return "opened" if window.status == "open" else None
