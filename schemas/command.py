"""What a decider is asked: a record, a raw edge record, a timer, or a new registry. And what deciders keep.

A decider is two pure functions: `decide(state, command, now) -> list[Emitted]` and `evolve(state, emitted) -> state`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from schemas.envelope import Emitted, Event, derived_id
from schemas.receipt import Coordinates
from schemas.registry import Registry
from schemas.trace import carried
from schemas.values import Strict


class Received(NamedTuple):
    """A decoded event of an internal topic."""

    topic: str
    event: Event[Any]
    cause: str
    registry: Registry


@dataclass(frozen=True, slots=True)
class Taken:
    """A record of an edge topic, as it came: nobody has looked into it yet.

    `appended_at` is the instant at which the log took it.
    """

    coordinates: Coordinates
    value: bytes | None
    appended_at: datetime
    registry: Registry


@dataclass(frozen=True, slots=True)
class TimerDue:
    """A timer of this key fires. `due_at` is when it was due; `now` may be later."""

    name: str
    due_at: datetime
    cause: str
    registry: Registry


@dataclass(frozen=True, slots=True)
class RegistryChanged:
    """A new version of the registry stands in the shard's order."""

    registry: Registry
    cause: str


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to be done outside, once it is committed that it has begun. `about` is for who does it.

    `id` is a UUID, `continues` the `traceparent` of what asks for it.
    """

    id: str
    about: Any
    continues: str | None = None

    @property
    def traceparent(self) -> str:
        """Its own, to be passed on."""
        return carried(self.continues, self.id)


@dataclass(frozen=True, slots=True)
class EffectDone:
    """What came of an effect of this key."""

    effect_id: str
    outcome: Any
    registry: Registry


Command = Received | Taken | TimerDue | RegistryChanged | EffectDone


class Timer(NamedTuple):
    """The next thing that a key has to do by time. `about` tells it from a later one of the same name and instant."""

    due_at: datetime
    name: str
    about: str = ""

    def cause(self, key: str) -> str:
        """The identity of this timer firing: a repeat derives the same events."""
        return derived_id("timer", key, self.name, self.due_at.isoformat(), self.about)


class State(Strict):
    """What a decider keeps for one key. Immutable: `evolve` returns a new one."""

    def continues(self, emitted: Emitted, sent: str | None) -> str | None:
        """The `traceparent` that what is emitted on this state continues.

        `sent` is that of the record at hand; None: it follows from time, from the registry or from an effect.
        """
        return sent

    def encoded(self) -> bytes:
        """What is kept, as JSON without what is absent."""
        return self.model_dump_json(exclude_none=True).encode()

    def next_timer(self) -> Timer | None:
        """The earliest timer of this key."""
        return None

    def effects(self) -> tuple[Effect, ...]:
        """What has begun outside and has no outcome yet."""
        return ()
