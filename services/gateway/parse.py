"""Looks into an edge record: is it JSON, is it an event, what is its id. Strict, and quick to give up."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from schemas.envelope import derived_id
from schemas.notice import Refused
from schemas.trace import usable
from schemas.values import MAX_EVENT_BYTES

_TRACING = {"traceparent", "tracestate"}
MAX_DEPTH = 64
"""How deep an event may nest. Checked before reading: where the interpreter gives up depends on who calls it."""

# A string, closed or not, is one match, so that a hostile record takes linear time.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)  # json.dumps makes one a call


@dataclass(frozen=True, slots=True)
class Parsed:
    """An event that could be read. `canonical`: what it says, whatever its spelling, as JSON.

    `content` is the hash of that without its trace: the same said again is the same, whichever trace it is part of.
    """

    attributes: dict[str, Any]
    id: str | None
    canonical: bytes
    content: str

    @property
    def trace(self) -> str | None:
        """The trace that the sender has begun."""
        return usable(self.attributes.get("traceparent"))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no event. `too_large` is refused unread; the others are dead letters too."""

    reason: Refused


@lru_cache(maxsize=1)  # the key and the decision of a record ask one after the other
def parse(value: bytes | None) -> Parsed | Unreadable:
    """Reads a record's value."""
    found = attributes(value)
    return found if isinstance(found, Unreadable) else written(found)


def attributes(value: bytes | None) -> dict[str, Any] | Unreadable:
    """The JSON object in these bytes."""
    if value is None:
        return _not_json("the record has no value")
    if len(value) > MAX_EVENT_BYTES:
        return too_large()
    if _is_too_deep(value):
        return _not_json(f"the value is nested deeper than {MAX_DEPTH}")
    try:
        found = json.loads(value.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        return _not_json("the value is not UTF-8")
    except ValueError as error:
        return _not_json(f"the value is not JSON: {str(error)[:100]}")
    if not isinstance(found, dict):
        return Unreadable(Refused(code="not_an_event", message="the value is JSON, but no object: send a CloudEvent"))
    return found


def written(said: dict[str, Any]) -> Parsed | Unreadable:
    """An event of these attributes, as canonical JSON."""
    try:
        content = canonical = _CANONICAL.encode(said).encode("utf-8")
        if _TRACING & said.keys():
            content = _CANONICAL.encode({n: value for n, value in said.items() if n not in _TRACING}).encode("utf-8")
    except UnicodeEncodeError:
        return _not_json("a string holds half a surrogate pair")
    event_id = said.get("id")
    usable = isinstance(event_id, str) and 0 < len(event_id) <= 200 and event_id.isprintable()
    return Parsed(said, event_id if usable else None, canonical, derived_id("content", content))


def too_large() -> Unreadable:
    """What is said of more bytes than an event may have."""
    return Unreadable(Refused(code="too_large", message=f"an event is at most {MAX_EVENT_BYTES} bytes"))


def _is_too_deep(value: bytes) -> bool:
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(value):
        first = value[match.start()]
        depth += (first in b"[{") - (first in b"]}")
        if depth > MAX_DEPTH:
            return True
    return False


def _not_json(said: str) -> Unreadable:
    return Unreadable(Refused(code="not_json", message=said))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
