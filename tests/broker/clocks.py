"""Clocks for services and tests: still in March 2027, or running fast from there.

A service whose clock must not run away while it starts gets a fast one only once all it needs stands in its topics.
"""

from datetime import UTC, datetime

from services.kernel.clock import SystemClock
from services.kernel.settings import ClockSettings

BEGINS = datetime(2027, 3, 1, tzinfo=UTC)
DAY_A_SECOND = 86_400


def since(instant: datetime, *, rate: float = 1, begins: datetime = BEGINS) -> tuple[dict[str, str], SystemClock]:
    """The clock that showed `begins` at a real instant and runs at this rate: for services, and for the test."""
    env = {
        "HERALD_CLOCK__RATE": str(rate),
        "HERALD_CLOCK__STARTED_AT": instant.isoformat(),
        "HERALD_CLOCK__STARTS_FROM": begins.isoformat(),
    }
    return env, SystemClock(ClockSettings(rate=rate, started_at=instant, starts_from=begins))


def now(*, rate: float = 1, begins: datetime = BEGINS) -> dict[str, str]:
    """The same from now on, for services alone."""
    return since(datetime.now(UTC), rate=rate, begins=begins)[0]
