"""The early-access window and its events. Each event carries the whole window."""

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from schemas.envelope import Data
from schemas.release import Release
from schemas.values import Duration, Instant, ParticipantId, Strict, Uuid, WindowStatus

LONGEST = timedelta(days=30)
"""The executive order's "up to 30 days". A constant, never a setting."""

SHORT_NOTICE = timedelta(days=3)
"""An opening nearer than this, seen from the statement that plans it, is short notice."""

KEPT_AFTER_END = timedelta(days=30)
"""How long an ended window is kept whole in state, and answers to it are taken."""

EndReason = Literal[
    "release",  # closed: the trusted-partner release was reached
    "lab_closing",  # closed: at the lab's own earlier closing
    "withdrawn",  # withdrawn: the lab withdrew the release
    "offer_withdrawn",  # withdrawn: early_access was removed
    "no_time_left",  # withdrawn, not-offered: no time between opening and closing
    "release_reached",  # withdrawn: the release was pulled forward into the past before it opened
]


class WindowPolicy(Strict):
    """The registry's policy as fixed when the window was scheduled."""

    closing_warning: Duration
    answer_within: Duration
    answer_within_soon: Duration
    soon: Duration


class Window(Strict):
    """The early-access window of one release, as of one change."""

    release_id: Uuid
    lab: ParticipantId
    life: int = Field(ge=1)
    revision: int = Field(ge=1, description="the announcement's revision that this follows")
    status: WindowStatus
    opens_at: Instant | None = None
    closes_at: Instant | None = None
    opened_at: Instant | None = Field(default=None, description="when it really opened; never changes within a life")
    ended_at: Instant | None = Field(default=None, description="when it really closed or was withdrawn")
    reason: EndReason | None = None
    short_notice: bool = False
    exercise: bool = False
    policy: WindowPolicy
    statement: Release


class _WindowEvent(Data):
    window: Window
    due_at: Instant | None = Field(default=None, description="when a transition by time was due; late is visible")
    happened_at: Instant
    changed: tuple[str, ...] = Field(default=(), description="top-level fields of the release that changed")

    def topics(self) -> tuple[str, ...]:
        return ("windows",)

    def subject(self) -> str:
        return self.window.release_id


class WindowScheduled(_WindowEvent):
    """An opening is planned."""

    type: ClassVar[str] = "herald.window.scheduled.v1"


class WindowRescheduled(_WindowEvent):
    """A material change of a window that is scheduled or open; `changed` names what changed."""

    type: ClassVar[str] = "herald.window.rescheduled.v1"


class WindowOpened(_WindowEvent):
    """Early access has begun."""

    type: ClassVar[str] = "herald.window.opened.v1"


class WindowClosingSoon(_WindowEvent):
    """The closing is near."""

    type: ClassVar[str] = "herald.window.closing-soon.v1"


class WindowClosed(_WindowEvent):
    """Early access has ended with the release, or at the lab's earlier closing."""

    type: ClassVar[str] = "herald.window.closed.v1"


class WindowWithdrawn(_WindowEvent):
    """The window will not be, or is no more."""

    type: ClassVar[str] = "herald.window.withdrawn.v1"


class WindowNotOffered(_WindowEvent):
    """A release without early access, or without time for it."""

    type: ClassVar[str] = "herald.window.not-offered.v1"
