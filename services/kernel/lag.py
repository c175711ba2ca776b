"""How far a shard is behind: what it holds and has not committed, and what stands in the log beyond that."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.kernel.clock import Clock
from services.kernel.inbox import Inbox, Item


class Lag:
    """Of one shard. The log is looked at now and then; what is held is known at any time, from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._behind: dict[str, int] = {}
        self._since: dict[str, tuple[int, datetime]] = {}

    def looked(self, ends: Mapping[str, int], positions: Mapping[str, int]) -> None:
        """The ends of the inputs, and how far they have been given."""
        now = self._clock.now()
        self._behind = {topic: max(0, end - positions[topic]) for topic, end in ends.items()}
        self._since = {
            topic: self._since[topic]
            if topic in self._since and positions[topic] < self._since[topic][0]
            else (ends[topic], now)
            for topic, behind in self._behind.items()
            if behind
        }

    def records(self, inbox: Inbox, drafted: Sequence[Item] = ()) -> float:
        """Offsets: of the log's, some are of transactions, not of records. `drafted`: what is being committed."""
        return len(inbox) + len(drafted) + sum(self._behind.values())

    def seconds(self, inbox: Inbox, drafted: Sequence[Item] = ()) -> float:
        """Real seconds that the oldest record has waited; one that cannot be read, since that was noticed."""
        oldest = [since for _, since in self._since.values()]
        oldest += [item.at for item in drafted[:1]]
        oldest += [lane.waiting[0].at for lane in list(inbox.lanes.values()) if lane.waiting]
        return max((-self._clock.seconds_until(instant) for instant in oldest), default=0.0)
