"""The records that a shard has been given and not yet decided, merged by append time."""

from collections import deque
from collections.abc import Iterable, Sequence, Set
from datetime import datetime
from typing import NamedTuple

MAX_RECORDS = 2000
MAX_BYTES = 8 * 1024 * 1024
GATHERED = 500
"""So many records are enough for one transaction: no more are waited for."""


class Item(NamedTuple):
    """One record of an input. `topic` is the contract's name; `at` is its append time in Herald's time."""

    topic: str
    partition: int
    offset: int
    at: datetime
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Lane:
    """One input of the shard: what waits, and how far it has been given."""

    def __init__(self) -> None:
        self.waiting: deque[Item] = deque()
        self.size = 0
        self.latest: datetime | None = None

    def put(self, items: Iterable[Item]) -> None:
        """Takes records in log order."""
        for item in items:
            self.waiting.append(item)
            self.size += len(item.value or b"")
            self.latest = item.at

    def pop(self) -> Item:
        """Gives the oldest."""
        item = self.waiting.popleft()
        self.size -= len(item.value or b"")
        return item

    @property
    def full(self) -> bool:
        """Whether fetching should pause."""
        return len(self.waiting) >= MAX_RECORDS or self.size >= MAX_BYTES


class Inbox:
    """All lanes of a shard."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.lanes: dict[str, Lane] = {topic: Lane() for topic in topics}

    def head(self, among: Iterable[str] | None = None) -> Item | None:
        """The record that was appended first; at one instant, the order of the inputs decides."""
        names = self.lanes if among is None else among
        heads = [lane.waiting[0] for name in names if (lane := self.lanes[name]).waiting]
        return min(heads, key=lambda item: item.at, default=None)

    def pop(self, topic: str) -> Item:
        """Takes the oldest record of an input."""
        return self.lanes[topic].pop()

    @property
    def crowded(self) -> bool:
        """Whether enough waits for one transaction."""
        return len(self) >= GATHERED or any(lane.full for lane in self.lanes.values())

    def waits_only(self, among: Set[str]) -> bool:
        """Whether all that waits is of these inputs."""
        return not any(lane.waiting for topic, lane in self.lanes.items() if topic not in among)

    def __len__(self) -> int:
        return sum(len(lane.waiting) for lane in self.lanes.values())
