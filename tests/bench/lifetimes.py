"""Releases that are announced, revised, end and are forgotten, and then begin again: how many live is steady.

Each has its place in a cycle of Herald's time, evenly spread, and is told by the instant alone: nothing is kept here.
What is left of a forgotten release for ever is taken up by its next life: it does not add up.
"""

from datetime import datetime, timedelta

from schemas.window import KEPT_AFTER_END
from tests.broker.clocks import BEGINS

LEAD = timedelta(days=20)
"""From the first statement of a life to the release. The window opens 14 days before it."""

SILENT = timedelta(days=1)
"""Before its release, nothing more is said of it: what came after the release would only be recorded."""

CYCLE = LEAD + KEPT_AFTER_END + timedelta(days=2)
"""From one life's first statement to the next one's: what has ended has been forgotten by then."""


class Lifetimes:
    """So many releases in turn."""

    def __init__(self, releases: int) -> None:
        self._releases = releases
        self._turn = 0

    def next(self, now: datetime) -> tuple[int, datetime]:
        """A release of which something is to be said now, and when it will be out. All that are in time take turns."""
        for _ in range(self._releases):
            self._turn = (self._turn + 1) % self._releases
            since = (now - BEGINS + CYCLE * self._turn / self._releases) % CYCLE
            if since < LEAD - SILENT:
                return self._turn, now - since + LEAD
        raise ValueError(f"none of {self._releases} releases is in time: more are needed")
