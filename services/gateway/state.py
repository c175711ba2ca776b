"""What the gateway keeps of an edge: which events it has taken, so that a repeat is known.

A key is one of 128 buckets of an edge, and remembers 24 ids: together they hold the last 1,000 of the edge.
"""

from schemas.command import State
from schemas.values import Instant, SenderId, Strict, Traceparent, Uuid

BUCKETS = 128
PER_BUCKET = 24


class Seen(Strict):
    """An event that was taken. `content` is a hash of what it says.

    `refused`: it was refused here. Its answer is not kept but decided again as of `at`: the same bytes come out.
    `traceparent`: that of the first, which a repeat continues whatever it brings.
    """

    id: SenderId
    content: Uuid
    at: Instant
    refused: bool = False
    traceparent: Traceparent | None = None


class EdgeState(State):
    """One bucket of one edge."""

    seen: tuple[Seen, ...] = ()

    def find(self, event_id: str) -> Seen | None:
        """What was taken under this id."""
        return next((one for one in self.seen if one.id == event_id), None)
