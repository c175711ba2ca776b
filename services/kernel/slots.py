"""How much a process does outside at once, shared so that no key's work keeps the others' waiting."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """A key's first gets any free slot; a further one gets one only while more than half of all are free.

    So keys whose work hangs take one each in the long run, however much of it there is.
    """

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._held: Counter[str] = Counter()
        self._first: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._further: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """A slot, for as long as the context lasts."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._further if self._held[key] else self._first
        waiting.setdefault(key, deque()).append(granted)
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                raise  # it is passed over when its turn comes
            self._release(key)
            raise
        try:
            yield
        finally:
            self._release(key)

    def _release(self, key: str) -> None:
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
            granted = queue.popleft()
            if not granted.done():
                granted.set_result(None)
                self._free -= 1
                self._held[key] += 1
            if queue:  # the others of a key wait behind those of other keys
                (self._further if self._held[key] else self._first)[key] = queue
            if not self._held[key]:
                del self._held[key]
