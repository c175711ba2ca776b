"""Holds counts back until somebody has looked at the zeros before them.

An increase is what a counter has gained since a look before. What a process counts between its start and the first look
is in no increase: just the alerts and timers that are late because it was down would never be seen to be. So they are
counted right after the first look. Of several Prometheus servers, the first to look sees them all.
"""

import threading
from collections.abc import Callable

MOST_HELD = 20_000
"""Beyond that nobody is looking: all is counted at once."""


class FirstLook:
    """Of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[Callable[[], None]] | None = []

    def then(self, count: Callable[[], None]) -> None:
        """Counts now, or once the first look is over."""
        with self._lock:
            if self._held is not None:
                self._held.append(count)
                if len(self._held) < MOST_HELD:
                    return
        if self._held is None:
            count()
        else:
            self.over()

    def over(self) -> None:
        """Somebody has looked."""
        with self._lock:
            held, self._held = self._held, None
        for count in held or ():
            count()


FIRST_LOOK = FirstLook()
