"""When answers lay undecided: while they wait, what came later is read before a step that is due."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from schemas.envelope import derived_id
from services.audit.record import Seen, Topics


class Waiting:
    """By partition, from when until when an answer waited for its receipt."""

    def __init__(self, topics: Topics) -> None:
        receipts: dict[str, Seen] = {}
        for log in topics.families("receipts.").values():
            receipts |= {one.event.id: one for one in reversed(log)}
        self._spans: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        for ack in self._answered(topics.logs["acks"], receipts):
            self._spans[ack[0].partition].append((ack[0].at, ack[1].at))

    def at(self, partition: int, instant: datetime) -> bool:
        """Whether an answer waited at an instant."""
        return any(first <= instant <= last for first, last in self._spans[partition])

    @staticmethod
    def _answered(acks: Iterable[Seen], receipts: dict[str, Seen]) -> Iterable[tuple[Seen, Seen]]:
        for ack in acks:
            receipt = receipts.get(derived_id(derived_id("acks", ack.event.id), "receipt"))
            if receipt is not None:
                yield ack, receipt
