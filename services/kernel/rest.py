"""How long a shard rests after a transaction, so that what comes meanwhile goes together.

A transaction costs some milliseconds of client and broker, whatever it holds; and one that begins before the markers of
the last are written waits 20 ms.
"""

import math

from services.kernel.inbox import GATHERED, Inbox
from services.kernel.service import Service

LONGEST_SECONDS = 0.05
"""A transaction that hangs is no reason to wait for as long again."""


class Rest:
    """The rest of one shard. Its times are real ones, in seconds of a monotonic clock."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._patient = service.patient
        self._began = -math.inf
        self._seconds = 0.0

    def begin(self, now: float, took: float, written: int) -> None:
        """A transaction of so many records has ended that took so long: the slower small ones are, the fewer."""
        rest = min(took * self._service.rest, LONGEST_SECONDS)
        self._began, self._seconds = now, rest if written < GATHERED else 0.0

    def left(self, inbox: Inbox, now: float) -> float:
        """How long what waits is to wait; nothing where there is enough for a transaction."""
        if not inbox or inbox.crowded:
            return 0.0
        seconds = self._service.pace if inbox.waits_only(self._patient) else self._seconds
        return self._began + seconds - now
