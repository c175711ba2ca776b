"""The timers of a shard: a heap over the states' next timers, rebuilt at each restore."""

import heapq
from collections.abc import Mapping
from datetime import datetime

from schemas.command import State, Timer

_STALE = 64

Due = tuple[datetime, str, str]
"""A timer or its equal, made in a fifth of the time."""


class Timers:
    """Which key is due next. Stale heap entries are dropped as they come up, or are most: the state is the truth."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []
        self._current: dict[str, Due] = {}
        self.parked: dict[str, str] = {}

    def rebuild(self, timers: Mapping[str, Due], parked: Mapping[str, str]) -> None:
        """Starts anew with what was restored: the next timer of each key that has one."""
        self._current, self.parked = dict(timers), dict(parked)
        self._order()

    def set(self, key: str, state: State | None) -> None:
        """Takes over a key's new state."""
        timer = state.next_timer() if state is not None else None
        if timer == self._current.get(key):
            return
        if timer is None:
            self._current.pop(key, None)
            return
        self._current[key] = timer
        heapq.heappush(self._heap, (timer.due_at, key))
        if len(self._heap) > 2 * len(self._current) + _STALE:
            self._order()

    def park(self, key: str, cause: str) -> None:
        """Leaves out a timer that could not be decided, until the key has another one."""
        self.parked[key] = cause

    def unpark(self, key: str, state: State | None) -> None:
        """Lets it come up again."""
        del self.parked[key]
        self._current.pop(key, None)
        self.set(key, state)

    def next(self) -> tuple[str, Timer] | None:
        """The earliest timer and its key."""
        while self._heap:
            due_at, key = self._heap[0]
            current = self._current.get(key)
            if current is None or current[0] != due_at:
                heapq.heappop(self._heap)
                continue
            timer = Timer(*current)
            if key in self.parked and self.parked[key] == timer.cause(key):
                heapq.heappop(self._heap)
                del self._current[key]
            else:
                return key, timer
        return None

    def _order(self) -> None:
        self._heap = [(timer[0], key) for key, timer in self._current.items()]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._current)
