"""What windows keeps of a release: the window as it stands, and what is next due."""

from schemas.command import State, Timer
from schemas.envelope import Emitted
from schemas.plan import Course
from schemas.values import Instant, Traceparent, WindowStatus
from schemas.window import KEPT_AFTER_END, EndReason, Window


class WindowState(State):
    """One release. `window` None: it ended long ago. `warn_at` None: no closing warning is to come.

    `traceparent`: of the latest statement, which what comes by time continues.
    """

    life: int
    revision: int
    status: WindowStatus
    reason: EndReason | None = None
    ended_at: Instant | None = None
    warn_at: Instant | None = None
    window: Window | None = None
    traceparent: Traceparent | None = None

    @property
    def course(self) -> Course:
        """What the next statement is planned on."""
        window = self.window
        return Course.model_construct(
            status=self.status,
            opens_at=window.opens_at if window else None,
            closes_at=window.closes_at if window else None,
            reason=self.reason,
        )

    def continues(self, emitted: Emitted, sent: str | None) -> str | None:
        return sent or self.traceparent

    def next_timer(self) -> Timer | None:
        window, about = self.window, f"{self.life}/{self.revision}"
        if window is None:
            return None
        if self.status == "scheduled" and window.opens_at is not None:
            return Timer(window.opens_at, "opens", about)
        if self.status == "open" and self.warn_at is not None:
            return Timer(self.warn_at, "closing-soon", about)
        if self.status == "open" and window.closes_at is not None:
            return Timer(window.closes_at, "closes", about)
        if self.ended_at is not None:
            return Timer(self.ended_at + KEPT_AFTER_END, "shrinks", about)
        return None
