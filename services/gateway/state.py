"""What the gateway keeps of an edge: which events it has taken, so that a repeat is known.

A key is one of 128 buckets of an edge, and remembers 24 ids: together they hold the last 1,000 of the edge.
"""

from schemas.command import State
from schemas.receipt import Answered, Kept
from schemas.values import Instant, SenderId, Strict, Uuid

BUCKETS = 128
PER_BUCKET = 24


class Seen(Strict):
    """An event that was taken. `content` is a hash of what it says; `refused` the answer where it was refused here.

    The answer is kept as its JSON: thousands of them stay small, and few are ever asked for again.
    """

    id: SenderId
    content: Uuid
    at: Instant
    refused: str | None = None


class EdgeState(State):
    """One bucket of one edge."""

    seen: tuple[Seen, ...] = ()

    def answer_to(self, seen: Seen) -> Answered | None:
        """The refusal that this event was given, again."""
        return Kept.model_validate_json(seen.refused).answered() if seen.refused is not None else None

    def find(self, event_id: str) -> Seen | None:
        """What was taken under this id."""
        return next((one for one in self.seen if one.id == event_id), None)
