"""Keeps Python's garbage collector off state: many long-lived objects without cycles, freed once they are replaced."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_restoring = 0


def collect_less_often() -> None:
    """For a process that has started: walking over the same objects again and again took a third of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing is collected meanwhile, and what has come to be then is not walked over later either.

    A walk over 100,000 windows takes more than a second, in which no heartbeat goes out. Several shards may restore at
    once: the last of them ends it.
    """
    global _restoring  # noqa: PLW0603 - the collector is the process's
    _restoring += 1
    gc.disable()
    try:
        yield
    finally:
        _restoring -= 1
        if not _restoring:
            gc.freeze()
            gc.enable()
