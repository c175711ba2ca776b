"""How much a process does outside at once, shared so that no key's work keeps the others' waiting."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable

Begin = Callable[[], bool]
"""Begins some work, and says whether it did: what is not wanted any more takes no slot."""


class Slots:
    """A key's first gets any free slot; a further one gets one only while more than half of all are free.

    So keys whose work hangs take one each in the long run, however much of it there is.
    """

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._held: Counter[str] = Counter()
        self._first: OrderedDict[str, deque[Begin]] = OrderedDict()
        self._further: OrderedDict[str, deque[Begin]] = OrderedDict()

    def ask(self, key: str, begin: Begin) -> None:
        """Begins it as soon as there is a slot, which whoever ends it gives back."""
        waiting = self._further if self._held[key] else self._first
        waiting.setdefault(key, deque()).append(begin)
        self._grant()

    def give_back(self, key: str) -> None:
        """Lets others have the slot."""
        self._free += 1
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]
            if key in self._further:
                self._first[key] = self._further.pop(key)
        self._grant()

    def _grant(self) -> None:
        while self._free and (self._first or (self._further and self._free * 2 > self._count)):
            waiting = self._first or self._further
            key, queue = waiting.popitem(last=False)
            if queue.popleft()():
                self._free -= 1
                self._held[key] += 1
            if queue:  # the others of a key wait behind those of other keys
                (self._further if self._held[key] else self._first)[key] = queue
