"""An alert that should have been issued, and what tells it from others."""

from dataclasses import dataclass
from datetime import datetime

from schemas.alert import AlertIssued, Why
from schemas.registry import Registry
from schemas.values import AlertKind, Tlp
from schemas.window import (
    Window,
    WindowClosed,
    WindowClosingSoon,
    WindowNotOffered,
    WindowOpened,
    WindowRescheduled,
    WindowScheduled,
    WindowWithdrawn,
)
from services.audit.record import Seen

TOLD_AS: dict[type, AlertKind] = {
    WindowScheduled: "scheduled",
    WindowRescheduled: "rescheduled",
    WindowOpened: "opened",
    WindowClosingSoon: "closing-soon",
    WindowClosed: "closed",
    WindowWithdrawn: "withdrawn",
    WindowNotOffered: "announced",
}


Key = tuple[str, str, int, int, int, tuple[str, ...], datetime | None]


@dataclass(frozen=True, slots=True)
class Due:
    """An alert that should have been issued. `cause`: the record that it follows from; `before`: the window until then.

    `happened_at` None: it happened when it was issued.
    """

    agency: str
    kind: AlertKind
    why: Why
    window: Window
    registry: Registry
    cause: Seen
    cause_id: str
    tlp: Tlp
    before: Window | None = None
    changed: tuple[str, ...] = ()
    due_at: datetime | None = None
    happened_at: datetime | None = None

    @property
    def key(self) -> Key:
        """What tells it from others, as far as that can be told from outside."""
        window = self.window
        changed = () if self.kind == "no-longer-addressed" else self.changed
        about = (self.agency, self.kind, window.life, window.revision, self.registry.version, changed)
        return (*about, self.happened_at)


def keys(alert: AlertIssued) -> tuple[Key, Key]:
    """The keys of what an alert may be: its change happened then, or (None) when it was issued."""
    about = (alert.agency, alert.kind, alert.life, alert.revision, alert.registry_version, alert.changed)
    return (*about, alert.happened_at), (*about, None if alert.happened_at == alert.issued_at else alert.happened_at)
