"""The answer to a lab's event or an agency's acknowledgement."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import ClassVar

from pydantic import Field

from schemas.envelope import Data, Emitted, Stamped
from schemas.notice import Refused, Warned
from schemas.trace import carried
from schemas.values import Disposition, Instant, ParticipantId, Reference, SenderId, Strict, Uuid, WindowStatus


class Coordinates(Strict):
    """Where the answered record stands: topic (without prefix), partition, offset."""

    topic: str
    partition: int
    offset: int


class PlannedWindow(Strict):
    """The window as it follows from the statement."""

    status: WindowStatus
    opens_at: Instant | None = None
    closes_at: Instant | None = None


class Receipt(Data):
    """What was done with one event. `event_id` is the sender's own id, absent where the event had none."""

    participant: ParticipantId
    event_id: SenderId | None = None
    coordinates: Coordinates | None = Field(default=None, description="of an event that could not be read")
    release_id: Uuid | None = None
    reference: Reference | None = None
    revision: int | None = None
    life: int | None = None
    exercise: bool = False

    def topics(self) -> tuple[str, ...]:
        return (f"receipts.{self.participant}",)

    def subject(self) -> str:
        return self.release_id or self.participant


class ReceiptAccepted(Receipt):
    """Recorded. The warnings say what applies where it differs from what was asked."""

    type: ClassVar[str] = "herald.receipt.accepted.v1"

    warnings: tuple[Warned, ...] = ()
    changed: tuple[str, ...] = ()
    window: PlannedWindow | None = None
    alert_id: Uuid | None = None
    disposition: Disposition | None = None


class ReceiptUnchanged(Receipt):
    """Nothing to record: this is what stands already."""

    type: ClassVar[str] = "herald.receipt.unchanged.v1"

    warnings: tuple[Warned, ...] = ()
    window: PlannedWindow | None = None
    alert_id: Uuid | None = None
    disposition: Disposition | None = None


class ReceiptRefused(Receipt):
    """Not taken, and why: the field, the rule and what would be right."""

    type: ClassVar[str] = "herald.receipt.refused.v1"

    reasons: tuple[Refused, ...]
    alert_id: Uuid | None = None


@dataclass(frozen=True)
class Answered(Emitted):
    """A receipt with the id and time of the first answer, so that the same event again gets the same bytes."""

    receipt: Receipt
    id: str
    at: datetime
    trace: str | None = None
    """What it continues, where that is no event of Herald's yet."""

    @cached_property
    def text(self) -> str:
        """The receipt as JSON: it is both sent and remembered."""
        return self.receipt.model_dump_json(exclude_none=True)

    def topics(self) -> tuple[str, ...]:
        return self.receipt.topics()

    def continues(self) -> str | None:
        return self.trace

    def stamped(
        self, *, cause: str, ordinal: int, source: str, time: datetime, continues: str | None = None
    ) -> Stamped:
        receipt, trace = self.receipt, carried(continues, self.id)
        return Stamped(self.id, source, receipt.type, receipt.subject(), self.at, trace, receipt, self.text)


KEPT = 16
"""How many answers a key remembers."""


_RECEIPTS = {kind.type: kind for kind in (ReceiptAccepted, ReceiptUnchanged, ReceiptRefused)}


class Kept(Strict):
    """An answer as it is remembered. `receipt` is its JSON: a state with many answers is written and read often."""

    event_id: SenderId
    id: Uuid
    at: Instant
    type: str
    receipt: str

    @classmethod
    def of(cls, event_id: str, answered: Answered) -> "Kept":
        """Remembers an answer."""
        return cls.model_construct(
            event_id=event_id, id=answered.id, at=answered.at, type=answered.receipt.type, receipt=answered.text
        )

    def answered(self) -> Answered:
        """The same answer again, byte for byte."""
        receipt = _RECEIPTS[self.type].model_validate_json(self.receipt, extra="ignore")
        return Answered(receipt, self.id, self.at)


def recall(kept: tuple[Kept, ...], event_id: str | None) -> Answered | None:
    """The answer that this event was given before."""
    return next((one.answered() for one in kept if one.event_id == event_id), None)


def remember(kept: tuple[Kept, ...], answered: Answered) -> tuple[Kept, ...]:
    """Adds an answer, and forgets the oldest. One without an event id, or a repeat, is not added."""
    event_id = answered.receipt.event_id
    if event_id is None or event_id in [one.event_id for one in kept]:
        return kept
    return (*kept, Kept.of(event_id, answered))[-KEPT:]
