"""The CloudEvents 1.0 envelope (structured JSON) around every event, and the identity of events.

Source: CloudEvents 1.0.2, JSON format; RFC 9562 for UUIDv5.
"""

import hashlib
from datetime import datetime
from functools import cache
from json.encoder import encode_basestring as quoted
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema
from pydantic_core.core_schema import tagged_union_schema

from schemas.trace import carried
from schemas.values import Instant, Line, SenderId, Strict, Traceparent, Tracestate, rfc3339

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
HERALD = UUID("8f0a7a52-5a0c-5c3e-9a43-0f3d0b7d5e11")
"""The namespace in which causes and event ids are derived."""
_NAMESPACED = hashlib.sha1(HERALD.bytes, usedforsecurity=False)


def derived_id(*parts: str | bytes) -> str:
    """A UUIDv5 in Herald's namespace. The parts are length-prefixed, so ("a", "bc") and ("ab", "c") differ."""
    digest = _NAMESPACED.copy()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:%b" % (len(raw), raw))
    text = digest.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


_VARIANT = {digit: "89ab"[number % 4] for number, digit in enumerate("0123456789abcdef")}
"""The two bits of RFC 9562's variant over a digit."""


class Emitted:
    """Anything that a decider may return: it knows where it is written, and its envelope."""

    def topics(self) -> tuple[str, ...]:
        """Names of the topics, without prefix. Empty: it only changes the decider's own state."""
        return ()

    def continues(self) -> str | None:
        """The `traceparent` of what led to it, where it knows that better than whoever writes it."""
        return None

    def stamped(
        self, *, cause: str, ordinal: int, source: str, time: datetime, continues: str | None = None
    ) -> "Stamped | Event[Any]":
        """The envelope around it. `cause` and `ordinal` derive the id, `time` is when it was decided.

        `continues` is the `traceparent` of what led to it; None: it begins a trace.
        """
        raise NotImplementedError


class Data(Strict, Emitted):
    """The `data` of an event of the contract."""

    type: ClassVar[str]

    def subject(self) -> str:
        """The key of the event: the release id, which every domain event carries."""
        return str(getattr(self, "release_id"))  # noqa: B009 - declared by each event

    def identity(self) -> str | None:
        """An id of its own; None: derived from cause, type and ordinal."""
        return None

    def text(self) -> str:
        """As JSON, without what is absent."""
        return self.model_dump_json(exclude_none=True)

    def stamped(
        self, *, cause: str, ordinal: int, source: str, time: datetime, continues: str | None = None
    ) -> "Stamped | Event[Any]":
        identity = self.identity() or derived_id(cause, self.type, str(ordinal))
        return Stamped(identity, source, self.type, self.subject(), time, carried(continues, identity), self)


class Stamped(NamedTuple):
    """An envelope that Herald writes: the same bytes as an Event's, at a fraction of its cost. Nothing is validated."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    traceparent: str
    data: Data
    text: str | None = None
    """The data as JSON, where it has been written already."""

    def encoded(self) -> bytes:
        """As structured JSON, in the order of Event's fields."""
        return (
            f'{{"specversion":"1.0","id":{quoted(self.id)},"source":{quoted(self.source)},"type":{quoted(self.type)},'
            f'"subject":{quoted(self.subject)},"time":"{rfc3339(self.time)}","datacontenttype":"application/json",'
            f'"traceparent":"{self.traceparent}","data":{self.text or self.data.text()}}}'
        ).encode()


D = TypeVar("D", bound=Data)


class Event(Strict, Generic[D]):
    """A CloudEvents 1.0 envelope. Attributes beyond these are refused by name on the edge."""

    specversion: Literal["1.0"]
    id: SenderId
    source: Line
    type: Line
    subject: Line | None = None
    time: Instant | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Line | None = None
    traceparent: Traceparent | None = None
    tracestate: Tracestate | None = None
    senderid: SenderId | None = Field(default=None, description="set by the gateway: the id that the sender gave")
    repeat: bool | None = Field(default=None, description="set by the gateway: this event was taken before")
    data: D

    @property
    def origin(self) -> str:
        """The participant in `source`: `/labs/acme` → `acme`."""
        return self.source.rpartition("/")[2]


def _of_its_type(event: Event[Any]) -> Event[Any]:
    if event.type != event.data.type:
        raise ValueError(f"type must be {event.data.type}")
    return event


class _ByType:
    """One of several events, told apart by `type` while it is read. A function would be handed all of it first."""

    def __init__(self, datas: tuple[type[Data], ...]) -> None:
        self._datas = datas

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {data.type: handler.generate_schema(Event[data]) for data in self._datas}  # type: ignore[valid-type]
        return tagged_union_schema(choices, discriminator="type")


@cache
def reader(*datas: type[Data]) -> TypeAdapter[Event[Any]]:
    """A validator of the envelopes around these kinds of data, chosen by `type`.

    Use `validate_json(raw, extra="ignore")` inside, plain `validate_json(raw)` on an edge.
    """
    if len(datas) > 1:
        return TypeAdapter(Annotated[Any, _ByType(datas)])
    only: Any = Event[datas[0]]  # type: ignore[valid-type]
    return TypeAdapter(Annotated[only, AfterValidator(_of_its_type)])


def encode(event: Event[Any] | Stamped) -> bytes:
    """The event as structured JSON: absent attributes are left out, so that the same event has the same bytes."""
    if isinstance(event, Stamped):
        return event.encoded()
    return event.model_dump_json(exclude_none=True).encode()
