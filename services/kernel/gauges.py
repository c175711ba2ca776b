"""Gauges that follow from state: each key's part is taken over as its state changes, so no scrape walks over keys.

They are right after a restart and a rebalance, because a shard adds its keys' parts when it opens and takes them away
when it closes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from heapq import heappop, heappush
from typing import Any, NamedTuple

from prometheus_client import Gauge


class Part(NamedTuple):
    """What one key adds to a gauge: a number, or an instant of which the gauge shows the earliest."""

    gauge: Gauge
    labels: tuple[str, ...]
    since: datetime | None = None
    number: int = 1


Parts = Callable[[Any], Iterable[Part]]
"""What a state adds to gauges."""


class StateGauges:
    """The parts of one shard's keys. Several shards of a process add up."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Part, ...]] = {}

    def open(self, parts: dict[str, tuple[Part, ...]]) -> None:
        """Begins with what was restored: the parts of each key that has some."""
        self._of = parts
        _move(_together(parts.values()))

    def changed(self, key: str, after: tuple[Part, ...]) -> None:
        """Takes over what a key's new state adds."""
        before = self._of.get(key, ())
        if after == before:
            return
        if after:
            self._of[key] = after
        else:
            del self._of[key]
        _move(after, before)

    def close(self) -> None:
        """Others have these keys from now on."""
        gone = _together(self._of.values())
        self._of = {}
        _move((), gone)


def _together(alike: Iterable[tuple[Part, ...]]) -> Iterable[Part]:
    """The parts of many keys; what is the same of many is told once."""
    for parts, times in Counter(alike).items():
        for part in parts:
            yield part._replace(number=part.number * times)


_STALE = 64


class _Instants:
    """Some instants, each as often as it is there. Stale heap entries are dropped as they come up, or are most."""

    def __init__(self) -> None:
        self._heap: list[float] = []
        self._times: dict[float, int] = {}

    def move(self, at: float, by: int) -> None:
        there = self._times.get(at, 0)
        if there + by:
            self._times[at] = there + by
        else:
            self._times.pop(at, None)
        if not there:
            heappush(self._heap, at)
            if len(self._heap) > 2 * len(self._times) + _STALE:
                self._heap = sorted(self._times)

    def earliest(self) -> float | None:
        while self._heap and self._heap[0] not in self._times:
            heappop(self._heap)
        return self._heap[0] if self._heap else None


_instants: dict[tuple[Gauge, tuple[str, ...]], _Instants] = defaultdict(_Instants)


def _move(more: Iterable[Part], less: Iterable[Part] = ()) -> None:
    """More of these parts, and less of those."""
    moved: dict[tuple[Gauge, tuple[str, ...], datetime | None], int] = defaultdict(int)
    for parts, sign in ((more, 1), (less, -1)):
        for part in parts:
            moved[part.gauge, part.labels, part.since] += sign * part.number
    for (gauge, labels, since), by in moved.items():
        if not by:
            continue  # most of a key's parts stay as they are
        if since is None:
            gauge.labels(*labels).inc(by)
            continue
        instants = _instants[gauge, labels]
        instants.move(since.timestamp(), by)
        if (earliest := instants.earliest()) is not None:
            gauge.labels(*labels).set(earliest)
        else:
            gauge.remove(*labels)  # a zero would be 1970
