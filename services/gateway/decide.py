"""Decides what enters: origin proven by the topic's name, form by the schema, repeats by what was taken before."""

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from schemas.command import Command, Taken
from schemas.dead_letter import DeadLettered
from schemas.envelope import Data, Emitted, Event, derived_id, reader
from schemas.explain import explain
from schemas.notice import Refused
from schemas.receipt import Answered, ReceiptRefused
from schemas.registry import Registry
from schemas.topics import ACKS, RELEASES
from schemas.trace import carried
from services.gateway.parse import Parsed, Unreadable, parse
from services.gateway.state import BUCKETS, PER_BUCKET, EdgeState, Seen

_STAMPED_HERE = ("senderid", "repeat")


@dataclass(frozen=True, slots=True)
class Edge:
    """What the name of an edge topic says: who speaks, and of what."""

    topic: str
    participant: str

    @classmethod
    def of(cls, topic: str) -> "Edge":
        """`releases.aurora-labs` → the lab's edge."""
        family, _, participant = topic.partition(".")
        return cls(family, participant)

    @property
    def source(self) -> str:
        """The only source that may be claimed here."""
        return f"/{'labs' if self.topic == 'releases' else 'agencies'}/{self.participant}"

    @property
    def events(self) -> tuple[type[Data], ...]:
        """The kinds of events that may be sent here."""
        return RELEASES if self.topic == "releases" else ACKS


@dataclass(frozen=True, slots=True)
class Forwarded(Emitted):
    """An event let in: origin stamped, keyed by the release."""

    edge: Edge
    event: Event[Any]
    release_id: str
    content: str
    at: datetime
    repeat: bool
    trace: str | None = None

    @property
    def id(self) -> str:
        """Its id from here on: the sender's own is no longer unique."""
        return _cause(self.edge, self.event.id, self.content)

    def topics(self) -> tuple[str, ...]:
        return (self.edge.topic,)

    def continues(self) -> str | None:
        return self.trace

    def stamped(
        self, *, cause: str, ordinal: int, source: str, time: datetime, continues: str | None = None
    ) -> Event[Any]:
        return self.event.model_copy(
            update={
                "id": self.id,
                "source": self.edge.source,
                "subject": self.release_id,
                "time": self.at,
                "traceparent": carried(continues, self.id),
                "senderid": self.event.id,
                "repeat": True if self.repeat else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Noted(Emitted):
    """An id that was taken."""

    seen: Seen

    def topics(self) -> tuple[str, ...]:
        return ()


def key(command: Taken) -> str:
    """The bucket of the edge that remembers this event's id."""
    found = parse(command.value)
    named = found.id if isinstance(found, Parsed) and found.id is not None else str(command.coordinates.offset)
    return f"{command.coordinates.topic}#{zlib.crc32(named.encode()) % BUCKETS}"


def decide(state: EdgeState | None, command: Command, now: datetime) -> list[Emitted]:
    """Lets a record in, or answers it with a refusal; what cannot be read is a dead letter too."""
    if not isinstance(command, Taken):
        return []
    edge, found = Edge.of(command.coordinates.topic), parse(command.value)
    if isinstance(found, Unreadable):
        answer = _answer(edge, command, None, (found.reason,), now)
        if found.reason.code == "too_large":
            return [answer]
        return [answer, DeadLettered(found.reason.code, found.reason.message)]
    seen = (state or EdgeState()).find(found.id) if found.id else None
    if seen is not None and seen.content != found.content:
        said = "this id was used for another event: give each event its own"
        reused = Refused(code="id_reused", message=said, field="id")
        # As of the first, so that it answers the same again.
        return [_answer(edge, command, found, (reused,), seen.at, seen.traceparent)]
    at, trace = (seen.at, seen.traceparent) if seen is not None else (now, found.trace)
    repeat = seen is not None and not seen.refused  # once refused, it is let in when the registry has changed
    forwarded = let_in(edge, found, command.registry, at, repeat, trace)
    if isinstance(forwarded, tuple):
        answer = _answer(edge, command, found, forwarded, at, trace)
        if found.id is None or seen is not None:
            return [answer]
        return [answer, Noted(Seen(id=found.id, content=found.content, at=now, refused=True, traceparent=trace))]
    if repeat:
        return [forwarded]
    return [forwarded, Noted(Seen(id=forwarded.event.id, content=found.content, at=at, traceparent=trace))]


def let_in(
    edge: Edge,
    found: Parsed,
    registry: Registry,
    at: datetime,
    repeat: bool = False,
    trace: str | None = None,
) -> Forwarded | tuple[Refused, ...]:
    """An event as it goes on from the edge, or why it is refused; whatever was said under its id before."""
    checked = _check(edge, found, registry, repeat)
    if isinstance(checked, tuple):
        return checked
    return Forwarded(edge, checked, _release_id(edge, checked, registry), found.content, at, repeat, trace)


def evolve(state: EdgeState | None, emitted: Emitted) -> EdgeState | None:
    """The bucket after one emitted event."""
    if not isinstance(emitted, Noted):
        return state
    before = (state or EdgeState()).seen
    others = tuple(one for one in before if one.id != emitted.seen.id)
    return EdgeState(seen=(*others, emitted.seen)[-PER_BUCKET:])


def _check(edge: Edge, found: Parsed, registry: Registry, repeat: bool) -> Event[Any] | tuple[Refused, ...]:
    """The event, or why it is refused. A repeat is nothing new: it gets its first answer, whoever has left since."""
    known = registry.labs if edge.topic == "releases" else registry.agencies
    if edge.participant in registry.offboarded and not repeat:
        return (Refused(code="offboarded", message=f"{edge.participant} was offboarded: nothing new is taken"),)
    if edge.participant not in known and not repeat:
        return (Refused(code="unknown_participant", message=f"{edge.participant} is not in the registry"),)
    claimed = found.attributes.get("source")
    if isinstance(claimed, str) and claimed != edge.source:
        said = f"on this topic the source is {edge.source}; speak for others nowhere"
        return (Refused(code="wrong_origin", message=said, field="source"),)
    reserved = [name for name in _STAMPED_HERE if name in found.attributes]
    if reserved:
        return tuple(Refused(code="invalid", field=n, message="is set by Herald; leave it out") for n in reserved)
    types = [data.type for data in edge.events]
    if found.attributes.get("type") not in types:
        said = f"on this topic the type must be one of {', '.join(types)}"
        return (Refused(code="invalid", message=said, field="type"),)
    try:
        event: Event[Any] = reader(*edge.events).validate_json(found.canonical)
    except ValidationError as error:
        return explain(error, Event, *edge.events)
    if found.id is None:
        return (Refused(code="invalid", field="id", message="must be 1 to 200 printable characters"),)
    return event


def _release_id(edge: Edge, event: Event[Any], registry: Registry) -> str:
    if edge.topic == "releases":
        return registry.release_id(edge.participant, event.data.reference)
    return str(event.data.release_id)


def _cause(edge: Edge, event_id: str, content: str) -> str:
    return derived_id("edge", edge.topic, edge.participant, event_id, content)


def _answer(
    edge: Edge,
    command: Taken,
    found: Parsed | None,
    reasons: tuple[Refused, ...],
    now: datetime,
    trace: str | None = None,
) -> Answered:
    event_id = found.id if found else None
    where = command.coordinates
    receipt = ReceiptRefused(
        participant=edge.participant,
        event_id=event_id,
        coordinates=None if event_id else where,
        reasons=reasons,
    )
    if found is not None and event_id is not None:
        cause = _cause(edge, event_id, found.content)
    else:
        cause = derived_id(where.topic, str(where.partition), str(where.offset))
    return Answered(receipt, derived_id(cause, "receipt"), now, trace)
