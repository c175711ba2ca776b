"""What a shard does outside of its transactions: begun only when that is committed, and the outcome is one more input.

So a crash repeats an effect under the same id, and never forgets one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from structlog.contextvars import bind_contextvars

from schemas.command import Effect
from schemas.registry import Registry
from services.kernel.ending import ended
from services.kernel.observe import log
from services.kernel.service import Performer
from services.kernel.slots import Slots

if TYPE_CHECKING:
    from services.kernel.otel import Spans


@dataclass(frozen=True, slots=True)
class Outside:
    """Who does the effects of a process, how many at once, and where it is told that they were done."""

    performer: Performer
    slots: Slots
    spans: "Spans | None" = None


class Effects:
    """The effects of one shard. The slots are shared by all shards of the process.

    `is_ours`: whether the shard is open. What waited for its slot until it is no more begins when it opens again, here
    or elsewhere.
    """

    def __init__(self, outside: Outside, wake: Callable[[], None], is_ours: Callable[[], bool]) -> None:
        self._performer = outside.performer
        self._slots = outside.slots
        self._spans = outside.spans
        self._wake = wake
        self._is_ours = is_ours
        self._begun: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: deque[tuple[str, str, Any]] = deque()
        self._taken: list[tuple[str, str, Any]] = []
        self._broken: dict[str, Exception] = {}
        self._stopping = False

    def start(self, key: str, wanted: Iterable[Effect], registry: Registry) -> None:
        """Begins what has not begun yet. Only for what is committed: who lost the shard never comes here."""
        for effect in wanted:
            if effect.id not in self._begun and not self._stopping:
                self._begun.add(effect.id)
                self._slots.ask(key, partial(self._begin, key, effect, registry))

    def next(self) -> tuple[str, str, Any] | None:
        """The key, effect id and outcome of one that has ended; it counts as taken until it is committed or not.

        Raises what a performer raised: an error of ours, after which the shard reopens and it begins again.
        """
        if self._broken:
            broken, self._broken = self._broken, {}
            self._begun -= broken.keys()
            raise next(iter(broken.values()))
        if not self._done:
            return None
        self._taken.append(self._done.popleft())
        return self._taken[-1]

    def committed(self) -> None:
        """What was taken stands in Kafka."""
        self._begun -= {effect_id for _, effect_id, _ in self._taken}
        self._taken.clear()

    def take_back(self) -> None:
        """What was taken has not been committed: it comes again."""
        self._done.extendleft(reversed(self._taken))
        self._taken.clear()

    async def settle(self, seconds: float) -> None:
        """Begins nothing any more, and waits for what has; what takes longer is broken off, and others repeat it."""
        self._stopping = True
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        await ended(*late)
        if late:
            log.warning("effects_broken_off", count=len(late))

    def _begin(self, key: str, effect: Effect, registry: Registry) -> bool:
        """There is a slot for it."""
        if self._stopping or not self._is_ours():
            self._begun.discard(effect.id)
            return False
        task = asyncio.create_task(self._run(key, effect, registry))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, key))
        return True

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        """It has ended, or was broken off."""
        self._tasks.discard(task)
        self._slots.give_back(key)

    async def _run(self, key: str, effect: Effect, registry: Registry) -> None:
        bind_contextvars(trace_id=effect.traceparent[3:35])  # in this task alone: each has a context of its own
        began = time.time_ns()
        try:
            outcome = await self._performer.perform(key, effect, registry)
        except Exception as error:
            self._broken[effect.id] = error
        else:
            if self._spans is not None:
                self._spans.attempted(key, effect, outcome, began, time.time_ns())
            self._done.append((key, effect.id, outcome))
        self._wake()
