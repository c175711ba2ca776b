"""What the gateway keeps of an edge: which events it has taken, so that a repeat is known.

A key is one of 256 buckets of an edge, and remembers 20 ids: together they hold the last 1,000 of the edge.
"""

from schemas.command import State
from schemas.receipt import Kept
from schemas.values import Instant, SenderId, Strict, Uuid

BUCKETS = 256
PER_BUCKET = 20


class Seen(Strict):
    """An event that was taken. `content` is a hash of what it says; `refused` the answer where it was refused here."""

    id: SenderId
    content: Uuid
    at: Instant
    refused: Kept | None = None


class EdgeState(State):
    """One bucket of one edge."""

    seen: tuple[Seen, ...] = ()

    def find(self, event_id: str) -> Seen | None:
        """What was taken under this id."""
        return next((one for one in self.seen if one.id == event_id), None)
