"""One endpoint in virtual time: the deciders, and an other side that answers as told."""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from schemas.alert import AlertIssued, alert_id
from schemas.command import Effect, EffectDone, Received, TimerDue
from schemas.delivery import (
    DeliveryCancelled,
    DeliveryRequested,
    EndpointPaused,
    EndpointResumed,
    Failure,
    delivery_id,
)
from schemas.envelope import Data, Emitted, Event
from schemas.registry import Registry
from services.deliveries.decide import decide, evolve
from services.deliveries.letter import Attempt
from services.deliveries.state import EndpointState

START = datetime(2027, 3, 1, 12, tzinfo=UTC)
TAKEN = Attempt(0.1, answer="200")
RELEASES = [f"8f0a7a52-5a0c-5c3e-9a43-{number:012d}" for number in range(1, 2000)]

Answers = Callable[[datetime, Effect], Attempt]


def registry(**agency: Any) -> Registry:
    """One agency with a webhook, a mail and a chat; `agency` is what else it says."""
    endpoints = {
        "hook": {"channel": "webhook", "tier": "watch", "url": "https://a.example", "secrets": ["env:A"]},
        "desk": {"channel": "email", "tier": "watch", "to": "desk@cisa.example"},
        "hook-2": {"channel": "webhook", "tier": "watch", "url": "https://b.example", "secrets": ["env:B"]},
    }
    endpoints["hook"] |= agency.pop("hook", {})
    about = {"name": "CISA", "endpoints": endpoints, **agency}
    return Registry.model_validate({"agencies": {"cisa": about}}, strict=False)


def requested(
    release: int,
    sequence: int,
    at: datetime,
    kind: str = "opened",
    *,
    agency: str = "cisa",
    endpoint: str = "hook",
    **more: Any,
) -> DeliveryRequested:
    """An alert for an endpoint."""
    about = RELEASES[release]
    alert = AlertIssued.model_validate(
        {
            "alert_id": alert_id(about, agency, sequence),
            "release_id": about,
            "agency": agency,
            "sequence": sequence,
            "kind": kind,
            "life": 1,
            "revision": 1,
            "tlp": "TLP:AMBER",
            "exercise": False,
            "why": "matching",
            "happened_at": at,
            "issued_at": at,
            "registry_version": 1,
        },
        strict=False,
    )
    mine = delivery_id(alert.alert_id, agency, endpoint)
    named: dict[str, Any] = {"agency": agency, "endpoint": endpoint, "tier": "watch", "alert": alert}
    return DeliveryRequested(delivery_id=mine, requested_at=at, **named, **more)


@dataclass(slots=True)
class World:
    """Runs one endpoint until nothing is left to do, or until a time. `attempts`: when, and which letters."""

    answers: Answers = lambda at, effect: TAKEN
    registry: Registry = field(default_factory=registry)
    now: datetime = START
    state: EndpointState | None = None
    said: list[tuple[datetime, Emitted]] = field(default_factory=list)
    attempts: list[tuple[datetime, tuple[Any, ...]]] = field(default_factory=list)
    took: timedelta = timedelta(seconds=0.1)
    _running: list[tuple[datetime, str, Effect]] = field(default_factory=list)
    _begun: set[str] = field(default_factory=set)
    _number: int = 0

    def take(self, data: Data) -> "World":
        """An event of the topic `deliveries`, now."""
        self._number += 1
        event: Event[Any] = Event(
            specversion="1.0", id=f"e{self._number}", source="/services/notifier", type=data.type, data=data
        )
        self._apply(Received("deliveries", event, event.id, self.registry))
        return self

    def until(self, at: datetime) -> "World":
        """Lets time go by."""
        while True:
            timer = self.state.next_timer() if self.state else None
            done = self._running[0] if self._running else None
            if done is not None and done[0] <= at and (timer is None or done[0] <= timer.due_at):
                heapq.heappop(self._running)
                self.now = max(self.now, done[0])
                self._begun.discard(done[1])
                self._apply(EffectDone(done[1], self.answers(self.now, done[2]), self.registry))
            elif timer is not None and timer.due_at <= at:
                self.now = max(self.now, timer.due_at)
                self._apply(TimerDue(timer.name, timer.due_at, "cause", self.registry))
                after = self.state.next_timer() if self.state else None
                assert after != timer, "a timer that was decided is not due again"
            else:
                self.now = max(self.now, at)
                return self

    def events(self, *kinds: type[Data]) -> list[Any]:
        """What was said, of these kinds."""
        return [event for _, event in self.said if isinstance(event, kinds)]

    def _apply(self, command: Any) -> None:
        emitted = decide(self.state, command, self.now)
        assert emitted == decide(self.state, command, self.now)
        for one in emitted:
            self.state = evolve(self.state, one)
            if one.topics():
                self.said.append((self.now, one))
        for effect in self.state.effects() if self.state else ():
            if effect.id not in self._begun:
                self._begun.add(effect.id)
                self.attempts.append((self.now, effect.about))
                heapq.heappush(self._running, (self.now + self.took, effect.id, effect))


class Life:
    """An endpoint to which anything may happen. `failure`: what the other side does; None: it takes all."""

    def __init__(self, registry: Registry, took: float, failure: Failure | None = None) -> None:
        self.failure = failure
        self.sequences = Counter[int]()
        self.world = World(self._answer, registry, took=timedelta(seconds=took))

    def step(self, step: tuple[object, ...]) -> None:
        """What can happen in any life: `cancel`, `answers`, `wait`, `pause` or `resume`."""
        world = self.world
        match step:
            case ("cancel", int(release)) if self.sequences[release]:
                about = {"release_id": RELEASES[release], "sequence": self.sequences[release], "reason": "acknowledged"}
                world.take(DeliveryCancelled.model_validate({"agency": "cisa", "endpoint": "hook", **about}))
            case ("answers", failure):
                self.failure = cast("Failure | None", failure)
            case ("wait", int(seconds)):
                world.until(world.now + timedelta(seconds=seconds))
            case ("pause", int(seconds)):
                until = world.now + timedelta(seconds=seconds)
                world.take(EndpointPaused(agency="cisa", endpoint="hook", until=until))
            case ("resume",):
                world.take(EndpointResumed(agency="cisa", endpoint="hook"))

    def end(self, at: datetime) -> None:
        """From here on nothing fails or is paused."""
        self.failure = None
        self.world.take(EndpointResumed(agency="cisa", endpoint="hook")).until(at)

    def _answer(self, at: datetime, effect: Effect) -> Attempt:
        return Attempt(0.1, self.failure) if self.failure else TAKEN
