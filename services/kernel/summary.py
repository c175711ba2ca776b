"""What an opening needs of each key, in a header of its state's record: so it need not read the state itself.

Both are made of the same state in one step. A header of another form is not believed: its state is read at the opening,
as is one that an earlier version wrote without. And where a state is used, its header is held against it.
"""

import json
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from schemas.command import State, Timer
from services.kernel.catalogue import GAUGES
from services.kernel.dead_letter import Headers
from services.kernel.gauges import Part
from services.kernel.service import Service

HEADER = "herald-summary"
_FORM = 1
"""Of the header. `Service.form` is that of what stands in it."""

MOST_PARTS = 32
"""Of a key with more the header would cost as much as reading the state: it has none."""

_NAMES = {gauge: name for name, gauge in GAUGES.items()}

Alike = tuple[str, bool, tuple[Part, ...]]
"""What many keys have alike: the timer's name (none: empty), whether anything has begun outside, parts of gauges."""


class Summary(NamedTuple):
    """A key's next timer, what it adds to gauges, and whether anything has begun outside."""

    timer: Timer | None
    parts: tuple[Part, ...]
    effects: bool


NOTHING = Summary(None, (), effects=False)
"""Of a key that is no more."""


class Summaries:
    """Those of one service's states."""

    def __init__(self, service: Service) -> None:
        self._parts = service.parts
        self.form = f"{_FORM}.{service.form}"

    def of(self, state: State) -> Summary:
        """What follows from a state."""
        parts = tuple(self._parts(state)) if self._parts is not None else ()
        return Summary(state.next_timer(), parts, bool(state.effects()))

    def header(self, summary: Summary) -> bytes | None:
        """As a record carries it: what many keys have alike, a zero, and of a timer when it is due and what about.

        None: it is to go without.
        """
        timer, parts, effects = summary
        if len(parts) > MOST_PARTS:
            return None
        if timer is None:
            return _alike(self.form, "", effects, parts)
        own = f"{timer.due_at.isoformat()}\0{timer.about}".encode()
        return _alike(self.form, timer.name, effects, parts) + own

    def alike(self, said: str) -> Alike | None:
        """Reads what stands before the zero; None: it is in another form."""
        form, bracket, rest = said.partition("[")
        if form != self.form:
            return None
        name, effects, parts = json.loads(bracket + rest)
        if any(part[0] not in GAUGES for part in parts):
            return None
        return name, effects, tuple(_part(*part) for part in parts)


def header_of(headers: Headers) -> bytes | None:
    """The one of these that is a summary."""
    for name, value in headers:
        if name == HEADER:
            return value
    return None


@lru_cache(1024)
def _alike(form: str, name: str, effects: bool, parts: tuple[Part, ...]) -> bytes:
    said = [
        [_NAMES[gauge], labels, since.isoformat() if since is not None else None, number]
        for gauge, labels, since, number in parts
    ]
    return f"{form}{json.dumps([name, effects, said], separators=(',', ':'))}\0".encode()


def _part(name: str, labels: list[str], since: str | None, number: int) -> Part:
    return Part(GAUGES[name], tuple(labels), datetime.fromisoformat(since) if since is not None else None, number)
