"""An agency's answer to an alert, and what follows when there is none."""

from typing import ClassVar, Literal

from pydantic import Field

from schemas.envelope import Data
from schemas.values import Disposition, Instant, Line, ParticipantId, Tier, Uuid


class AcknowledgementSubmitted(Data):
    """An agency answers an alert. No free text, no verdict. On `acks.<agency>`, and on `acks` with origin stamped."""

    type: ClassVar[str] = "herald.acknowledgement.submitted.v1"

    alert_id: Uuid
    release_id: Uuid
    disposition: Disposition
    by: Line | None = Field(default=None, description="who answered, optionally: a role or a name; never logged")


class AcknowledgementRecorded(Data):
    """An agency's answer stands."""

    type: ClassVar[str] = "herald.acknowledgement.recorded.v1"

    release_id: Uuid
    agency: ParticipantId
    alert_id: Uuid = Field(description="the alert that the agency named")
    life: int
    disposition: Disposition
    by: Line | None = None
    late: bool = Field(default=False, description="after the due time of the tier that was asked, or after closing")
    superseded: bool = Field(default=False, description="a newer alert asks; this answer does not answer that one")
    exercise: bool
    recorded_at: Instant

    def topics(self) -> tuple[str, ...]:
        return ("acknowledgements",)


class AcknowledgementOverdue(Data):
    """A tier did not answer in time. `exhausted`: the last tier; nobody is chased further."""

    type: ClassVar[str] = "herald.acknowledgement.overdue.v1"

    release_id: Uuid
    agency: ParticipantId
    alert_id: Uuid = Field(description="the alert that asks (never a repetition of it)")
    life: int
    tier: Tier
    due_at: Instant
    happened_at: Instant
    exhausted: bool = False
    closed: bool = Field(default=False, description="the window ended while the alert was unanswered")
    exercise: bool

    def topics(self) -> tuple[str, ...]:
        return ("acknowledgements",)


class ReminderDue(Data):
    """The notifier is to repeat an unanswered alert, to the same tier or to the next."""

    type: ClassVar[str] = "herald.reminder.due.v1"

    release_id: Uuid
    agency: ParticipantId
    alert_id: Uuid = Field(description="the alert that asks (never a repetition of it)")
    life: int
    tier: Tier
    chase: Literal["reminder", "escalation"]
    due_at: Instant
    exercise: bool

    def topics(self) -> tuple[str, ...]:
        return ("reminders",)
