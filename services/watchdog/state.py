"""What the watchdog knows of a round while it runs, and of what earlier ones left behind."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.alert import AlertIssued

REFERENCES = 768
"""Hours of 32 days. Each reference serves for one hour, and then rests until its states have shrunk (30 days)."""


@dataclass(frozen=True, slots=True)
class Round:
    """One release on its way: announced, told, answered, withdrawn, told of that, answered. Fields: what has come.

    `released_at` is the release's own date, which no other round states, so that its alert is known by it.
    """

    reference: str
    at: datetime
    released_at: datetime
    accepted: bool = False
    alert: AlertIssued | None = None
    answered: bool = False
    withdrawn: bool = False
    end: AlertIssued | None = None
    over: bool = False
    refused: tuple[str, ...] = ()
    """The codes of a refusal, which ends it."""


@dataclass(slots=True)
class Left:
    """What stands open on the agency's own topic: by reference, the latest alert of a window that has not ended."""

    open: dict[str, AlertIssued] = field(default_factory=dict)
    last: AlertIssued | None = None

    def take(self, alert: AlertIssued) -> None:
        """Takes over the next alert."""
        self.last = alert
        if alert.content is None:  # addressed no more
            return
        if alert.content.window.ended_at is None:
            self.open[alert.content.reference] = alert
        else:
            self.open.pop(alert.content.reference, None)


def reference(now: datetime, left: Left) -> str:
    """The reference of a round: one that stands open and would be chased, else the hour's."""
    if left.open:
        return next(iter(left.open))
    return f"round-{int(now.timestamp() / timedelta(hours=1).total_seconds()) % REFERENCES:03d}"
