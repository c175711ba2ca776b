"""What one agency is told about one change, and the disclosure that the lab is told of it."""

from functools import cached_property
from json.encoder import encode_basestring as quoted
from typing import ClassVar, Literal

from pydantic import Field

from schemas.envelope import Data, derived_id
from schemas.release import Access, Model
from schemas.values import (
    AlertKind,
    Capability,
    Instant,
    Line,
    ParticipantId,
    Prose,
    Reference,
    Strict,
    Tier,
    Tlp,
    Uuid,
    WindowStatus,
)
from schemas.window import EndReason

Why = Literal["listed", "matching", "short-notice", "was-addressed"]
"""Why an agency is told: by name, by its interests, because time is short, or because it was told before."""

VOLUNTARY = (
    "Early access is voluntary on the lab's side. An acknowledgement is a sign of receipt or interest; "
    "it approves nothing and holds nothing up."
)


def alert_id(release_id: str, agency: str, sequence: int) -> str:
    """The one stable id of an alert on every channel."""
    return derived_id("alert", release_id, agency, str(sequence))


class Answer(Strict):
    """When one tier must have answered: told at `told_at`, reminded at `due_at`, passed over at `passed_at`.

    `passed_at` is when the next tier is told; for the last tier, when chasing ends.
    """

    tier: Tier
    told_at: Instant
    due_at: Instant
    passed_at: Instant


class AlertWindow(Strict):
    """The window as an agency sees it."""

    status: WindowStatus
    opens_at: Instant | None = None
    closes_at: Instant | None = None
    opened_at: Instant | None = None
    ended_at: Instant | None = None
    reason: EndReason | None = None


class Content(Strict):
    """What the lab lets the agency know. Never the audience."""

    lab: ParticipantId
    reference: Reference
    model: Model
    capabilities: tuple[Capability, ...] = ()
    trusted_partner_release_at: Instant
    public_release_at: Instant | None = None
    access: Access | None = None
    embargo_until: Instant | None = None
    handling: Prose | None = None
    window: AlertWindow

    @cached_property
    def text(self) -> str:
        """As JSON: it is the same for every agency that is told."""
        return self.model_dump_json(exclude_none=True)


class AlertIssued(Data):
    """One agency is told about one change of one release."""

    type: ClassVar[str] = "herald.alert.issued.v1"

    alert_id: Uuid
    release_id: Uuid
    agency: ParticipantId
    sequence: int = Field(ge=1, description="counted within agency and release, over all lives")
    kind: AlertKind
    life: int = Field(ge=1)
    revision: int = Field(ge=1)
    tlp: Tlp
    exercise: bool
    short_notice: bool = False
    why: Why
    asks: Literal["received"] | None = Field(default=None, description="what is asked of the agency")
    chased: bool = Field(default=False, description="whether silence is chased")
    answer_by: tuple[Answer, ...] = Field(default=(), description="one entry a tier, in order")
    tier: Tier | None = Field(default=None, description="the tier that this alert is for; absent: nobody is chased")
    repeats: Uuid | None = Field(default=None, description="the unanswered alert that this one repeats")
    chase: Literal["reminder", "escalation"] | None = None
    changed: tuple[str, ...] = ()
    due_at: Instant | None = Field(default=None, description="when the change was due, if it came by time")
    happened_at: Instant = Field(description="when the change really happened")
    issued_at: Instant
    registry_version: int = Field(ge=0, description="the registry under which it was routed")
    content: Content | None = Field(default=None, description="absent when the agency is no longer addressed")
    voluntary: Line = VOLUNTARY

    def topics(self) -> tuple[str, ...]:
        return ("alerts", f"alerts.{self.agency}")

    def identity(self) -> str:
        return self.alert_id

    def text(self) -> str:
        if self.content is None:
            return super().text()
        own = self.model_dump_json(exclude_none=True, exclude=_LAST)
        return f'{own[:-1]},"content":{self.content.text},"voluntary":{quoted(self.voluntary)}}}'


_LAST = {"content", "voluntary"}
"""What the text of an alert ends with."""


class DisclosureMade(Data):
    """To the lab: this agency was told, then and of this."""

    type: ClassVar[str] = "herald.disclosure.made.v1"

    release_id: Uuid
    lab: ParticipantId
    reference: Reference
    agency: ParticipantId
    alert_id: Uuid
    kind: AlertKind
    why: Why
    life: int
    exercise: bool
    told_at: Instant

    def topics(self) -> tuple[str, ...]:
        return (f"receipts.{self.lab}",)
