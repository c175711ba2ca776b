"""Says how far long work has come, every few seconds."""

import time
from collections.abc import Callable

from services.cli import session

EVERY = 3.0
"""Seconds between two lines; work that is done sooner says nothing."""


def paced(what: str) -> Callable[[int, int], None]:
    """What is to be told how much of how much is done."""
    said_at = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal said_at
        if total and time.monotonic() - said_at >= EVERY:
            said_at = time.monotonic()
            session.progress(f"{what}: {done} of {total}, {100 * done // total} %")

    return progress
