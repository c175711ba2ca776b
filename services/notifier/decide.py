"""Decides whom a change concerns, and what each of them is told."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.acknowledgement import AcknowledgementRecorded, ReminderDue
from schemas.alert import AlertIssued, AlertWindow, Content, DisclosureMade, Why, alert_id
from schemas.command import Command, Received, RegistryChanged, TimerDue
from schemas.envelope import Emitted
from schemas.registry import Registry
from schemas.routing import addressed, answer_ladder, wants
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
from services.notifier.state import Asked, NotifierState, Told

_KINDS: dict[type[Any], AlertKind] = {
    WindowScheduled: "scheduled",
    WindowRescheduled: "rescheduled",
    WindowOpened: "opened",
    WindowClosingSoon: "closing-soon",
    WindowClosed: "closed",
    WindowWithdrawn: "withdrawn",
    WindowNotOffered: "announced",
}
_ASKING: frozenset[AlertKind] = frozenset({"scheduled", "rescheduled", "opened", "withdrawn", "no-longer-addressed"})
_CHASED: frozenset[AlertKind] = _ASKING - {"no-longer-addressed"}


@dataclass(frozen=True, slots=True)
class Routed(Emitted):
    """The window as it stands from now on, and whom it addresses."""

    window: Window
    agencies: frozenset[str]


@dataclass(frozen=True, slots=True)
class AnswerNoted(Emitted):
    """An agency has answered the alert that asks."""

    agency: str


@dataclass(frozen=True, slots=True)
class Shrunk(Emitted):
    """The window ended long ago: only the sequences are kept."""


@dataclass(frozen=True, slots=True)
class _Change:
    """What is told: the window, what made it so, and under which registry."""

    window: Window
    registry: Registry
    now: datetime
    due_at: datetime | None = None
    happened_at: datetime | None = None
    changed: tuple[str, ...] = ()
    content: Content = field(init=False)
    """What is told of the window: the same for everyone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", _content(self.window))


def decide(state: NotifierState | None, command: Command, now: datetime) -> list[Emitted]:
    """The alerts that follow from a change, a reminder, a registry version; nothing from an acknowledgement."""
    state = state or NotifierState()
    if isinstance(command, TimerDue):
        return [Shrunk()]
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
        change = _Change(data.window, command.registry, now, data.due_at, data.happened_at, data.changed)
        return _tell(state, change, _KINDS[type(data)])
    return []


def evolve(state: NotifierState | None, emitted: Emitted) -> NotifierState:
    """The state after one emitted event."""
    state = state or NotifierState()
    if isinstance(emitted, DisclosureMade):
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
        case Routed():
            for agency in sorted(agencies.keys() | emitted.agencies):
                told = _in_life(state, emitted.window, agency)
                agencies[agency] = told.model_copy(update={"addressed": agency in emitted.agencies})
            return NotifierState(life=emitted.window.life, window=emitted.window, agencies=agencies)
        case Shrunk():
            kept = {agency: Told(sequence=told.sequence) for agency, told in agencies.items()}
            return NotifierState(life=state.life, agencies=kept)
        case _:
            return state
    return state.model_copy(update={"agencies": agencies})


def _tell(state: NotifierState, change: _Change, kind: AlertKind) -> list[Emitted]:
    """A window has changed: those addressed hear of it, those no longer addressed hear that."""
    window = change.window
    concerned = addressed(window.statement, window.lab, change.registry)
    only_audience = set(change.changed) == {"audience"} and kind in {"rescheduled", "announced"}
    events: list[Emitted] = [Routed(window, frozenset(concerned))]
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
            events += _alert(told, change, agency, heard, concerned[agency])
    return events


def _reroute(state: NotifierState, registry: Registry, now: datetime) -> list[Emitted]:
    """A registry version: agencies that have become relevant, or are so no longer, hear it once."""
    window = state.window
    if window is None or window.status not in {"scheduled", "open"}:
        return []
    concerned = addressed(window.statement, window.lab, registry)
    if concerned.keys() == {agency for agency, told in state.agencies.items() if told.addressed}:
        return []
    change = _Change(window, registry, now)
    events: list[Emitted] = [Routed(window, frozenset(concerned))]
    for agency in sorted(state.agencies.keys() | concerned.keys()):
        told, heard = state.told(agency), _standing(window)
        if agency not in concerned:
            events += _drop(told, change, agency)
        elif not told.addressed and heard and wants(registry.agencies[agency], heard, window.short_notice):
            events += _alert(told, change, agency, heard, concerned[agency])
    return events


def _repeat(state: NotifierState, reminder: ReminderDue, registry: Registry, now: datetime) -> list[Emitted]:
    """An unanswered alert again, to the same tier or the next; dropped when it is no longer the latest that asks."""
    told, window = state.told(reminder.agency), state.window
    asked = told.asked
    if window is None or asked is None or asked.answered or reminder.alert_id != asked.ids[0]:
        return []
    change = _Change(window, registry, now, happened_at=asked.happened_at)
    why = addressed(window.statement, window.lab, registry).get(reminder.agency, "was-addressed")
    alert = _issued(told, change, reminder.agency, asked.kind, why)
    repeated = {
        "answer_by": asked.answer_by,
        "tier": reminder.tier,
        "repeats": asked.ids[0],
        "chase": reminder.chase,
        "due_at": None,
    }
    return [alert.model_copy(update=repeated)]


def _drop(told: Told, change: _Change, agency: str) -> list[Emitted]:
    """Tells an agency once that it is no longer addressed; one that never heard of the release hears nothing."""
    if not told.addressed or not told.told:
        return []
    return _alert(told, change, agency, "no-longer-addressed", "was-addressed")


def _alert(told: Told, change: _Change, agency: str, kind: AlertKind, why: Why) -> list[Emitted]:
    alert = _issued(told, change, agency, kind, why)
    disclosure = DisclosureMade(
        release_id=alert.release_id,
        lab=change.window.lab,
        reference=change.window.statement.reference,
        agency=agency,
        alert_id=alert.alert_id,
        kind=kind,
        why=why,
        life=alert.life,
        exercise=alert.exercise,
        told_at=change.now,
    )
    return [alert, disclosure]


def _issued(told: Told, change: _Change, agency: str, kind: AlertKind, why: Why) -> AlertIssued:
    window, sequence = change.window, told.sequence + 1
    dropped = kind == "no-longer-addressed"
    opens_at = None if kind == "withdrawn" else window.opens_at
    if window.short_notice and kind in {"scheduled", "opened"} and why == "matching":
        why = "short-notice" if kind not in change.registry.agencies[agency].kinds else why
    chased = kind in _CHASED and agency in change.registry.agencies
    ladder = answer_ladder(change.registry.agencies[agency], window.policy, opens_at, change.now) if chased else ()
    return AlertIssued(
        alert_id=alert_id(window.release_id, agency, sequence),
        release_id=window.release_id,
        agency=agency,
        sequence=sequence,
        kind=kind,
        life=window.life,
        revision=window.revision,
        tlp=told.tlp if dropped else window.statement.tlp,
        exercise=window.exercise,
        short_notice=window.short_notice and not dropped,
        why=why,
        asks="received" if kind in _ASKING else None,
        chased=chased,
        answer_by=ladder,
        tier=ladder[0].tier if ladder else None,
        changed=() if dropped else change.changed,
        due_at=None if dropped else change.due_at,
        happened_at=change.happened_at or change.now,
        issued_at=change.now,
        registry_version=change.registry.version,
        content=None if dropped else change.content,
    )


def _after(told: Told, alert: AlertIssued) -> Told:
    update: dict[str, Any] = {"sequence": alert.sequence, "told": True, "tlp": alert.tlp}
    if alert.repeats is not None and told.asked is not None:
        update["asked"] = told.asked.model_copy(update={"ids": (*told.asked.ids, alert.alert_id)})
    elif alert.asks is not None:
        update["asked"] = Asked(
            ids=(alert.alert_id,),
            kind=alert.kind,
            life=alert.life,
            happened_at=alert.happened_at,
            answer_by=alert.answer_by,
        )
    return told.model_copy(update=update)


def _in_life(state: NotifierState, window: Window, agency: str) -> Told:
    """What an agency knows in the life of this window: of a new life, nothing but the sequence goes on."""
    told = state.told(agency)
    return told if window.life == state.life else Told(sequence=told.sequence)


def _standing(window: Window) -> AlertKind | None:
    """The kind of alert that tells a window as it stands; None when there is nothing to look at any more."""
    if window.status == "scheduled":
        return "scheduled"
    return "opened" if window.status == "open" else None


def _content(window: Window) -> Content:
    release = window.statement
    return Content(
        lab=window.lab,
        reference=release.reference,
        model=release.model,
        capabilities=release.capabilities,
        trusted_partner_release_at=release.trusted_partner_release_at,
        public_release_at=release.public_release_at,
        access=release.early_access.access if release.early_access else None,
        embargo_until=release.embargo_until,
        handling=release.handling,
        window=AlertWindow(
            status=window.status,
            opens_at=window.opens_at,
            closes_at=window.closes_at,
            opened_at=window.opened_at,
            ended_at=window.ended_at,
            reason=window.reason,
        ),
    )
