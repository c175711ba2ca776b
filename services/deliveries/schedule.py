"""When to try again. Pure: the jitter comes from the delivery's id, so deciding again gives the same."""

import hashlib
from datetime import timedelta

_SECONDS = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
RETRIES = tuple(timedelta(seconds=seconds) for seconds in _SECONDS)
"""As Standard Webhooks 1.0 advises. After that once a day, for as long as nothing newer is to be said."""

JITTER = 0.2
LONGEST_RETRY_AFTER = timedelta(hours=24)
LONGEST_SILENCE = timedelta(hours=1)
"""So long at most others wait for what an endpoint asked of one message: there may be news among them."""

FIRST_PROBE, LONGEST_PROBE = timedelta(minutes=1), timedelta(minutes=30)
FAILURES_TO_OPEN = 5
DISABLED_AFTER = timedelta(days=5)
BURST = 10
"""Messages that may go to an endpoint at once; then as many a minute as it allows."""


def retry_in(delivery: str, attempts: int, retry_after: float | None) -> timedelta:
    """How long to wait after so many attempts: the schedule, up to a fifth longer; never shorter than was asked for."""
    planned = RETRIES[min(attempts, len(RETRIES)) - 1] * (1 + JITTER * _share(delivery, attempts))
    return max(planned, patience(retry_after or 0))


def patience(retry_after: float) -> timedelta:
    """How much of what the other side asks for, in seconds, is kept."""
    return min(timedelta(seconds=retry_after), LONGEST_RETRY_AFTER)


def exhausted(attempts: int) -> bool:
    """Whether the schedule has come to its end."""
    return attempts > len(RETRIES)


def probe_in(failures: int) -> timedelta:
    """How long an open breaker waits before it lets one message try."""
    doublings: int = min(failures - FAILURES_TO_OPEN, 10)
    return min(FIRST_PROBE * (1 << doublings), LONGEST_PROBE)


def _share(delivery: str, attempts: int) -> float:
    digest = hashlib.sha256(f"{delivery}/{attempts}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32
