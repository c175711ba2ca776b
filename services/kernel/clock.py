"""Which time it is: real, accelerated from a base, or virtual (tests move it)."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from services.kernel.settings import ClockSettings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Maps the log's append times to Herald's time, and tells how long to wait in real seconds."""

    def at(self, epoch_ms: int) -> datetime:
        """Herald's time at a real instant in milliseconds since 1970, as Kafka stamps it."""
        ...

    def now(self) -> datetime:
        """Herald's time now."""
        ...

    def seconds_until(self, instant: datetime) -> float:
        """Real seconds until an instant of Herald's time; negative when it has passed."""
        ...


class SystemClock:
    """Real time (rate 1), or time that runs faster from a base on."""

    def __init__(self, settings: ClockSettings | None = None) -> None:
        settings = settings or ClockSettings()
        self._rate = settings.rate
        self._base_ms = (settings.started_at - EPOCH) / timedelta(milliseconds=1)
        self._base = settings.starts_from or settings.started_at

    def at(self, epoch_ms: int) -> datetime:
        return self._base + timedelta(milliseconds=(epoch_ms - self._base_ms) * self._rate)

    def now(self) -> datetime:
        # Whole milliseconds, as the log stamps them: a timer and a record at one instant compare equal.
        return self.at(time.time_ns() // 1_000_000)

    def seconds_until(self, instant: datetime) -> float:
        return (instant - self.now()).total_seconds() / self._rate


class VirtualClock:
    """Time that stands still until a test moves it. Append times are taken as they are."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def at(self, epoch_ms: int) -> datetime:
        return EPOCH + timedelta(milliseconds=epoch_ms)

    def now(self) -> datetime:
        return self._now

    def seconds_until(self, instant: datetime) -> float:
        return (instant - self._now).total_seconds()

    def move_to(self, instant: datetime) -> None:
        """Moves forward; never back."""
        self._now = max(self._now, instant)
