"""A dead letter's headers, and where it stands: what `dead-letters` holds and what `replays` gives back."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

REPLAYS_TOPIC = "replays"
MOST_BURIED = 200
"""How many dead letters a shard keeps open. Older ones can still be read, but not replayed."""

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Letter:
    """What the headers say. `topic` is empty where no record stood behind it: a timer, a registry version."""

    service: str
    reason: str
    topic: str
    partition: int
    offset: int
    detail: str
    trace: str
    dropped: bool = False

    @classmethod
    def of(cls, headers: Headers) -> "Letter":
        """Reads the headers. Raises KeyError or ValueError when they are not a dead letter's."""
        found = {name.removeprefix("herald-"): value.decode(errors="replace") for name, value in headers}
        return cls(
            service=found["service"],
            reason=found["reason"],
            topic=found.get("topic", ""),
            partition=int(found.get("partition", 0)),
            offset=int(found.get("offset", 0)),
            detail=found.get("detail", ""),
            trace=found.get("trace", ""),
            dropped="drop" in found,
        )

    @property
    def place(self) -> str:
        """The record's own place, as a shard remembers it."""
        return place(self.topic, self.offset)


def letter_headers(service: str, reason: str, error: Exception) -> Headers:
    """The headers that say whose dead letter it is, and why."""
    return (
        ("herald-reason", reason.encode()),
        ("herald-service", service.encode()),
        ("herald-detail", f"{type(error).__name__}: {error}"[:1000].encode(errors="replace")),
        ("herald-trace", "".join(traceback.format_exception(error))[-8000:].encode(errors="replace")),
    )


def place(topic: str, offset: int) -> str:
    """A record of a shard's input: the partition is the shard's own, or an edge's only one."""
    return f"{topic}@{offset}"


def healed(buried: dict[str, str], topic: str, key: str, offset: int) -> dict[str, str]:
    """What stays open once a later record of the key was decided: to replay an earlier one would go back in time."""

    def is_over(where: str, of: str) -> bool:
        name, _, at = where.rpartition("@")
        return name == topic and of == key and int(at) <= offset

    return {where: of for where, of in buried.items() if not is_over(where, of)}
