"""What `make test` leaves to `make test-long`: some tests as a whole, of others most of the count."""

import os

import pytest

LONG = bool(os.environ.get("HERALD_TEST_LONG"))
long_run = pytest.mark.skipif(not LONG, reason="a part of make test-long")


def scaled(short: int, full: int) -> int:
    """The short count, or the full one in the long run."""
    return full if LONG else short
