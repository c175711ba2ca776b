"""What one transaction will write, and what it will change: put together event by event, thrown away on any error."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from schemas.command import State
from schemas.envelope import CONTENT_TYPE, Data, Event, Stamped, encode
from schemas.topics import TOPICS
from services.kernel.dead_letter import Headers
from services.kernel.inbox import Item
from services.kernel.origin import Origin
from services.kernel.summary import Summary

MAX_OUTPUTS = 4000
MAX_OUTPUT_BYTES = 4 * 1024 * 1024
MAX_SWEPT = 200
"""Keys that one transaction decides a registry version for: all of them at once would stop the loop, and heartbeats."""

_LIMITS = {topic.name: topic.max_bytes for topic in TOPICS}
_SINGLE = {topic.name for topic in TOPICS if topic.single}
_KEYS = {topic.name: topic.key for topic in TOPICS}
_OVERHEAD = 4096  # of a record batch, and of headers
CONTENT: Headers = (("content-type", CONTENT_TYPE.encode()),)


class OutputTooLarge(Exception):
    """What was decided does not fit into its topic."""


@cache
def family(topic: str) -> str:
    """The catalogue's name of a topic: `alerts.cisa` → `alerts.{agency}`."""
    if topic in _LIMITS:
        return topic
    prefix = topic.partition(".")[0] + "."
    return next(name for name in _LIMITS if name.startswith(prefix) and "{" in name)


class Output(NamedTuple):
    """One record to be written. `partition` None: by key, or the only one."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()


@cache
def _rules(topic: str) -> tuple[int, bool, str]:
    """How large a record may be, whether the topic has one partition, and what it is keyed by."""
    name = family(topic)
    return _LIMITS[name], name in _SINGLE, _KEYS[name]


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and the `traceparent` that it continues; `sent` is that of the record at hand, if that is another."""

    event: Stamped | Event[Any]
    topics: tuple[str, ...]
    continues: str | None
    sent: str | None


class Decided(NamedTuple):
    """One event in the draft, with what is counted of it. `cause`: of what it followed from, with all that did."""

    data: Data
    cause: str
    origin: Origin | None
    trace_id: str | None


@dataclass(slots=True)
class Draft:
    """What one transaction will write, and what it will change."""

    outputs: list[Output] = field(default_factory=list)
    size: int = 0
    states: dict[str, State | None] = field(default_factory=dict)
    summaries: dict[str, Summary] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    timers: int = 0
    swept: int = 0
    events: list[Decided] = field(default_factory=list)
    dead_letters: list[dict[str, str]] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    replays: list[str] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether it should be committed before more is taken."""
        return len(self.outputs) >= MAX_OUTPUTS or self.size >= MAX_OUTPUT_BYTES or self.swept >= MAX_SWEPT

    def __bool__(self) -> bool:
        return bool(self.items or self.timers or self.swept or self.outputs or self.effects)


def written(
    event: Stamped | Event[Any], topics: tuple[str, ...], headers: Headers, own: str | None, partition: int
) -> list[Output]:
    """The records of an event. Raises OutputTooLarge.

    `own`: what the shard keys by, if the event is about the key at hand: in a topic keyed alike it stays in the shard's
    partition. What is keyed otherwise, or speaks of another key, may belong to another shard.
    """
    value, key = encode(event), (event.subject or "").encode()
    outputs = []
    for topic in topics:
        most, is_single, keyed_by = _rules(topic)
        if len(value) + _OVERHEAD > most:
            raise OutputTooLarge(f"{event.type} of {len(value)} bytes is too large for {topic}")
        if is_single:
            outputs.append(Output(topic, key, value, None, CONTENT))
        else:
            outputs.append(Output(topic, key, value, partition if keyed_by == own else None, headers))
    return outputs


def kept(topic: str, key: str, value: bytes, headers: Headers, partition: int) -> Output:
    """The record of a state. Raises OutputTooLarge when it has outgrown its topic."""
    if len(value) + sum(len(header) for _, header in headers) + _OVERHEAD > _LIMITS["state.{service}"]:
        raise OutputTooLarge(f"the state of {key} is too large for {topic}")
    return Output(topic, key.encode(), value, partition, headers)
