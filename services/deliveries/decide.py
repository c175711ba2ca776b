"""Decides what an endpoint is told, and when: retries, a breaker, a throttle, quiet hours, and what is out of date."""

from dataclasses import dataclass
from datetime import datetime

from schemas.command import Command, EffectDone, Received, TimerDue
from schemas.delivery import (
    DeliveryCancelled,
    DeliveryRequested,
    DeliveryRetried,
    EndpointPaused,
    EndpointResumed,
    NoticeRequested,
)
from schemas.envelope import Emitted
from services.deliveries.desk import Desk
from services.deliveries.state import EndpointState


@dataclass(frozen=True, slots=True)
class Kept(Emitted):
    """The endpoint from now on; None: it is gone, and nothing is pending there."""

    state: EndpointState | None


def decide(state: EndpointState | None, command: Command, now: datetime) -> list[Emitted]:
    """What follows for an endpoint; the attempts that begin are in the state that is kept."""
    if isinstance(command, Received):
        about = command.event.data
        state = state or EndpointState(agency=about.agency, endpoint=about.endpoint)
    if state is None or not isinstance(command, Received | EffectDone | TimerDue):
        return []
    desk = Desk(state, command.registry, now, command.event.traceparent if isinstance(command, Received) else None)
    if isinstance(command, EffectDone):
        desk.settle(command.effect_id, command.outcome)
    elif isinstance(command, Received):
        _take(desk, command.event.data)
    desk.begin()
    kept = desk.kept()
    return [*desk.events, Kept(kept)] if kept != state else list(desk.events)


def evolve(state: EndpointState | None, emitted: Emitted) -> EndpointState | None:
    """The state after one emitted event."""
    return emitted.state if isinstance(emitted, Kept) else state


def _take(desk: Desk, data: object) -> None:
    match data:
        case DeliveryRequested():
            desk.request(data)
        case DeliveryCancelled():
            desk.cancel(data)
        case NoticeRequested():
            desk.request_notice(data)
        case DeliveryRetried():
            desk.retry(data)
        case EndpointPaused():
            desk.pause(data)
        case EndpointResumed():
            desk.resume()
