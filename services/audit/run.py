"""One audit of a running Herald: for a command, or for whoever runs it on a schedule."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.audit.derive import derive
from services.audit.difference import Difference, Kind
from services.audit.reading import Progress, read
from services.audit.record import Bounds
from services.kernel.clock import Clock, SystemClock
from services.kernel.connection import Connection

GRACE = timedelta(minutes=1)
"""In real time: what was appended later than that may still be followed by something, and is not judged."""

APART = timedelta(seconds=30)
"""In real time: two topics have no order between them within that; the brokers' clocks and the services' may differ."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found. `until`: what was appended later was not judged. `skipped`: their beginning is not kept."""

    differences: tuple[Difference, ...]
    until: datetime
    records: int
    releases: int
    skipped: int

    @property
    def counts(self) -> Counter[Kind]:
        """How many of each kind."""
        return Counter(one.kind for one in self.differences)


async def audit(
    connection: Connection,
    since: datetime | None = None,
    *,
    clock: Clock | None = None,
    grace: timedelta = GRACE,
    say: Callable[[str], Progress] | None = None,
) -> Report:
    """Reads the topics and derives every difference; with `since`, those from then on, in Herald's time.

    `say` is told what is being done, and gives what is told how far that is. Raises NothingToAudit.
    """
    clock = clock or SystemClock()
    settled_ms = time.time_ns() // 1_000_000 - grace // timedelta(milliseconds=1)
    bounds = Bounds(settled_ms, APART // timedelta(milliseconds=1), clock.at)
    topics = await read(connection, clock, say("reading") if say is not None else None)
    progress = say("auditing") if say is not None else None
    found, skipped = await asyncio.to_thread(derive, topics, bounds, since, progress)
    return Report(
        differences=tuple(found),
        until=bounds.settled_at,
        records=sum(len(log) for log in topics.logs.values()) + len(topics.unread),
        releases=len({one.data.window.release_id for one in topics.logs["windows"]}),
        skipped=skipped,
    )
