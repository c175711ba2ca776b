"""What the watchdog on duty measures. Of one that stands by nothing is known: its zeros would read as an alarm."""

from math import nan

from services.kernel.catalogue import (
    AUDIT_DIFFERENCES,
    AUDIT_LAST_RUN,
    HEARTBEAT,
    WATCHDOG_LAST_SUCCESS,
    WATCHDOG_ROUND_SECONDS,
)


def hide() -> None:
    """Says of all that it is not known."""
    for one in (WATCHDOG_LAST_SUCCESS, WATCHDOG_ROUND_SECONDS, HEARTBEAT, AUDIT_DIFFERENCES, AUDIT_LAST_RUN):
        one.set(nan)
