"""A bound on short waits, of which many begin and end: one timer stands for all of them."""

import asyncio
from types import TracebackType


class Within:
    """Waits of at most so many seconds. As `asyncio.timeout`, which sets and cancels a timer for each.

    All are of one length: whoever began first is due first, and the timer is set for that one alone.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waits: dict[_Wait, None] = {}
        self._timed: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> "_Wait":
        """`with within(): await …` raises TimeoutError when the time is over."""
        return _Wait(self)

    def begin(self, wait: "_Wait") -> float:
        """Notes a wait; returns when its time is over, by the loop's clock."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._seconds
        self._waits[wait] = None
        if self._timed is not loop:
            self._timed = loop
            loop.call_at(due, self._look)
        return due

    def end(self, wait: "_Wait") -> None:
        """Forgets a wait."""
        self._waits.pop(wait, None)

    def _look(self) -> None:
        loop, self._timed = asyncio.get_running_loop(), None
        for wait in list(self._waits):
            if wait.due > loop.time():
                self._timed = loop
                loop.call_at(wait.due, self._look)
                return
            wait.interrupt()


class _Wait:
    """One wait of a task."""

    __slots__ = ("_began_cancelling", "_is_over", "_task", "_within", "due")

    def __init__(self, within: Within) -> None:
        self._within = within
        self._is_over = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - whoever waits is a task
        self._task, self._began_cancelling = task, task.cancelling()
        self.due = self._within.begin(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._within.end(self)
        # Cancelled by somebody else as well: then it is cancelled, as asyncio.timeout has it.
        if self._is_over and self._task.uncancel() <= self._began_cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def interrupt(self) -> None:
        """Its time is over."""
        self._within.end(self)
        self._is_over = True
        self._task.cancel()
