"""Counts: divided in `make test`, full in `make test-long`."""

import os

LONG = bool(os.environ.get("HERALD_TEST_LONG"))


def scaled(short: int, full: int) -> int:
    """The short count, or the full one in the long run."""
    return full if LONG else short
