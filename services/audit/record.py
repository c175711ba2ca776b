"""One record of a topic as the audit keeps it, and all of them together."""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from schemas.envelope import Event, reader
from schemas.topics import TOPICS

READ = (
    "announcements",
    "windows",
    "alerts",
    "acks",
    "acknowledgements",
    "reminders",
    "deliveries",
    "delivery-outcomes",
    "registry-versions",
)
"""Topics that are read, besides each agency's `alerts.` and each participant's `receipts.`."""


def family(topic: str) -> str:
    """`alerts.cisa` → `alerts.`, and `alerts` itself."""
    name, dot, _ = topic.partition(".")
    return name + dot


_EVENTS = {family(topic.name): topic.events for topic in TOPICS}


@dataclass(frozen=True, slots=True)
class Seen:
    """A record. `ms`: when Kafka took it, in real milliseconds since 1970; `at`: the same in Herald's time."""

    topic: str
    partition: int
    offset: int
    ms: int
    at: datetime
    key: bytes | None
    digest: bytes
    event: Event[Any]

    @property
    def data(self) -> Any:
        """What the event says."""
        return self.event.data

    @property
    def where(self) -> str:
        """Its coordinates."""
        return f"{self.topic} {self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Unread:
    """A record that is not what its topic holds."""

    where: str
    ms: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far the audit judges.

    What was appended after `settled_ms` may still be followed by something. Two topics have no order between them
    within `apart_ms`; `at` tells Herald's time of a real instant.
    """

    settled_ms: int
    apart_ms: int
    at: Callable[[int], datetime]

    @property
    def settled_at(self) -> datetime:
        """The same in Herald's time."""
        return self.at(self.settled_ms)

    @property
    def apart(self) -> timedelta:
        """The same in Herald's time."""
        return self.at(self.settled_ms) - self.at(self.settled_ms - self.apart_ms)


@dataclass(slots=True)
class Topics:
    """All that was read. `cut`: topics of which retention has taken the beginning, and since when they are whole."""

    logs: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    cut: dict[str, datetime] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)

    def take(
        self, topic: str, partition: int, offset: int, ms: int, at: datetime, key: bytes | None, value: bytes | None
    ) -> None:
        """Keeps one record; those of a partition come in their order."""
        try:
            event = reader(*_EVENTS[family(topic)]).validate_json(value or b"", extra="ignore")
        except ValidationError:
            self.unread.append(Unread(f"{topic} {partition}/{offset}", ms, at))
            return
        digest = hashlib.blake2b(value or b"", digest_size=16).digest()
        self.logs[topic].append(Seen(topic, partition, offset, ms, at, key, digest, event))

    def whole_since(self, topic: str, instant: datetime) -> None:
        """Says that retention has taken what a partition of a topic held before."""
        self.cut[topic] = max(instant, self.cut.get(topic, instant))

    def families(self, prefix: str) -> dict[str, list[Seen]]:
        """The logs of a family, by whose they are: `alerts.` → agency → records."""
        return {name.partition(".")[2]: log for name, log in self.logs.items() if name.startswith(prefix)}
