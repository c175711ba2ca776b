"""A real Apache Kafka from wheels and jars, and the supervisor behind `herald up`."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Is told, in one line, what is being waited for."""


class EmbeddedError(Exception):
    """The embedded Kafka cannot do what was asked; the message is one line for people."""
