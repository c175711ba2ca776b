"""Decides what an agency's push endpoints are asked to deliver, what no longer, and when the next tier is told.

It follows what has been decided on alerts and changes nothing of it. What becomes of an endpoint that is no longer in
the registry is up to deliveries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from schemas.acknowledgement import AcknowledgementRecorded
from schemas.alert import AlertIssued, alert_id
from schemas.command import Command, Received, TimerDue
from schemas.delivery import (
    Abandon,
    DeliveryAbandoned,
    DeliveryCancelled,
    DeliveryRequested,
    DeliverySucceeded,
    delivery_id,
    tellable,
)
from schemas.envelope import Emitted
from schemas.registry import Registry
from schemas.tiers import Turn, after, first
from services.notifier.routine import is_routine, speaks_of
from services.notifier.state import FALLS_BACK, NotifierState, Push, Waiting
from services.notifier.telling import content_of

_FOR_GOOD: frozenset[Abandon] = frozenset({"refused", "disabled", "removed", "backlog-full"})
"""Why nobody at this endpoint will hear of an alert that still stands."""


_NOTHING_OPEN = Push()


@dataclass(frozen=True, slots=True)
class Pushed(Emitted):
    """What is open at an agency's endpoints from now on."""

    agency: str
    push: Push | None


def follow(state: NotifierState, command: Command, decided: Sequence[Emitted], now: datetime) -> list[Emitted]:
    """What follows for endpoints from a command, and from what was decided on it."""
    events: list[Emitted] = []
    for alert in decided:
        if isinstance(alert, AlertIssued):
            events += _tell(state, alert, command, now)
    if isinstance(command, TimerDue) and command.name == FALLS_BACK:
        for agency in sorted(state.agencies):
            push = state.agencies[agency].push
            if push is not None and push.waiting is not None and push.waiting.until <= command.due_at:
                events += _fall_back(state, push, push.waiting, command.registry, now)
    elif isinstance(command, Received):
        match command.event.data:
            case AcknowledgementRecorded() as answer:
                events += _answered(state, answer)
            case DeliverySucceeded() as outcome:
                events += _taken(state, outcome)
            case DeliveryAbandoned() as outcome:
                events += _abandoned(state, outcome, command.registry, now)
            case _:
                pass
    return events


def still_pending(push: Push | None) -> Push | None:
    """What must be taken back should the release live again, although nobody waits for it any more."""
    return Push(pending=push.pending) if push is not None and push.pending else None


def _tell(state: NotifierState, alert: AlertIssued, command: Command, now: datetime) -> list[Emitted]:
    """An alert: its tier's endpoints are asked, and it replaces what is still open."""
    agency, before = command.registry.agencies.get(alert.agency), state.told(alert.agency).push or _NOTHING_OPEN
    if not before.pending and (agency is None or not agency.endpoints):
        return _pushed(state, alert.agency, _NOTHING_OPEN)
    routine = is_routine(alert, state.window, command)
    turn = first(agency, alert, or_next=not routine) if agency is not None else None
    # A reminder or escalation is the same news for those who are not asked: what is pending there is not out of date.
    stale = set() if alert.chase else before.pending.keys() - set(turn[1] if turn else ())
    cancelled = [_cancelled(alert.release_id, alert.agency, e, alert.sequence - 1, "superseded") for e in sorted(stale)]
    kept = Push(pending={each: number for each, number in before.pending.items() if each not in stale})
    if turn is None:
        return [*cancelled, *_pushed(state, alert.agency, kept)]
    return [*cancelled, *_ask(state, kept, alert, turn, command.registry, now, routine=routine)]


def _ask(
    state: NotifierState,
    push: Push,
    alert: AlertIssued,
    turn: Turn,
    registry: Registry,
    now: datetime,
    *,
    routine: bool = False,
) -> list[Emitted]:
    """Requests an alert at the endpoints whose turn it is. A later tier waits for its own.

    Nobody waits on a routine alert: quiet hours may hold it, and nothing in it needs a person before the morning. One
    that asks for an answer is chased all the same.
    """
    agency, (tier, endpoints) = registry.agencies[alert.agency], turn
    requests = [
        DeliveryRequested(
            agency=alert.agency,
            endpoint=endpoint,
            delivery_id=delivery_id(alert.alert_id, alert.agency, endpoint),
            tier=tier,
            alert=tellable(alert, agency.endpoints[endpoint]),
            routine=routine,
            speaks_of=speaks_of(alert) if routine else None,
            requested_at=now,
        )
        for endpoint in endpoints
    ]
    waiting, asked = None, (*(push.waiting.asked if push.waiting else ()), *endpoints)
    if not routine and after(agency, tier, alert, asked) is not None:
        until = now + registry.policy.fallback_after
        bare = alert.model_copy(update={"content": None})
        waiting = Waiting(alert=bare, tier=tier, asked=asked, left=endpoints, until=until)
    pending = push.pending | dict.fromkeys(endpoints, alert.sequence)
    return [*requests, *_pushed(state, alert.agency, Push(pending=pending, waiting=waiting))]


def _fall_back(state: NotifierState, push: Push, waiting: Waiting, registry: Registry, now: datetime) -> list[Emitted]:
    """Nobody of a tier has taken an alert: the next one's endpoints are asked with the same."""
    alert = waiting.alert
    agency, told, window = registry.agencies.get(alert.agency), state.told(alert.agency), state.window
    turn = after(agency, waiting.tier, alert, waiting.asked) if agency is not None else None
    if turn is None:
        return _pushed(state, alert.agency, push.model_copy(update={"waiting": None}))
    # A later life is told by alerts of its own, and who is not addressed any more is told nothing of the window.
    if alert.kind != "no-longer-addressed" and told.addressed and window is not None and window.life == alert.life:
        alert = alert.model_copy(update={"content": content_of(window)})
    return _ask(state, push, alert, turn, registry, now)


def _answered(state: NotifierState, answer: AcknowledgementRecorded) -> list[Emitted]:
    """Whoever answers an alert has seen it: it, and what repeats it, is open nowhere any more. Later news stays."""
    told = state.told(answer.agency)
    if told.push is None:
        return []
    asked = told.asked.ids if told.asked is not None else ()
    seen = asked if answer.alert_id in asked else (answer.alert_id,)
    pending, waiting = told.push.pending, told.push.waiting
    ends = waiting is not None and bool({waiting.alert.alert_id, waiting.alert.repeats} & {answer.alert_id, *seen})
    over = {each for each, n in pending.items() if alert_id(answer.release_id, answer.agency, n) in seen}
    left = Push(
        pending={each: number for each, number in pending.items() if each not in over},
        waiting=None if ends else waiting,
    )
    cancelled = [_cancelled(answer.release_id, answer.agency, e, told.sequence, "acknowledged") for e in sorted(over)]
    return [*cancelled, *_pushed(state, answer.agency, left)]


def _taken(state: NotifierState, outcome: DeliverySucceeded) -> list[Emitted]:
    """An endpoint of any tier has it: nobody else need be told."""
    push = _settled(state, outcome)
    if push is None:
        return []
    if push.waiting is not None and push.waiting.alert.alert_id == outcome.alert_id:
        push = push.model_copy(update={"waiting": None})
    return _pushed(state, outcome.agency, push)


def _abandoned(state: NotifierState, outcome: DeliveryAbandoned, registry: Registry, now: datetime) -> list[Emitted]:
    """An endpoint will never have it: once that is so of a whole tier, the next one is not kept waiting."""
    push = _settled(state, outcome)
    if push is None:
        return []
    waiting = push.waiting
    if waiting is None or waiting.alert.alert_id != outcome.alert_id or outcome.reason not in _FOR_GOOD:
        return _pushed(state, outcome.agency, push)
    left = tuple(endpoint for endpoint in waiting.left if endpoint != outcome.endpoint)
    if not left:
        return _fall_back(state, push, waiting, registry, now)
    waiting = waiting.model_copy(update={"left": left})
    return _pushed(state, outcome.agency, push.model_copy(update={"waiting": waiting}))


def _settled(state: NotifierState, outcome: DeliverySucceeded | DeliveryAbandoned) -> Push | None:
    """What is open after an outcome, which may be that of an older request. None: nothing was."""
    push = state.told(outcome.agency).push
    if push is None or push.pending.get(outcome.endpoint, outcome.sequence + 1) > outcome.sequence:
        return push
    pending = {endpoint: number for endpoint, number in push.pending.items() if endpoint != outcome.endpoint}
    return push.model_copy(update={"pending": pending})


def _pushed(state: NotifierState, agency: str, push: Push) -> list[Emitted]:
    """Nothing, when it changes nothing: where there are no endpoints, no state comes to be."""
    after = push if push.pending or push.waiting else None
    return [] if after == state.told(agency).push else [Pushed(agency, after)]


def _cancelled(
    release_id: str, agency: str, endpoint: str, sequence: int, reason: Literal["superseded", "acknowledged"]
) -> DeliveryCancelled:
    return DeliveryCancelled(agency=agency, endpoint=endpoint, release_id=release_id, sequence=sequence, reason=reason)
