"""What holds for all tests: a property has no time to keep, and who counts seconds has the machine to itself."""

import fcntl
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("herald", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("herald")

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell's background job ignores Ctrl-C, and so would all that it starts: tests send it to some of that."""

ROOM = Path(__file__)
ENTRANCE = ROOM.with_name("__init__.py")
"""Files to lock, whatever they hold. Who waits for the room to be empty keeps its entrance shut meanwhile."""


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open() as file:
        fcntl.flock(file, how)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # said, for a child may have the file still open


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """A test that is marked `alone` begins when no other worker runs one, and none begins before it ends.

    Outside of pytest-timeout's own wrapper: nobody's time runs while it waits.
    """
    with ExitStack() as stack:
        with _locked(ENTRANCE, fcntl.LOCK_EX):
            stack.enter_context(_locked(ROOM, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH))
        return (yield)
