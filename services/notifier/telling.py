"""What one agency is told of a change: the alert, and the disclosure of it to the lab."""

from dataclasses import dataclass, field
from datetime import datetime

from schemas.alert import AlertIssued, AlertWindow, Content, DisclosureMade, Why, alert_id
from schemas.envelope import Emitted
from schemas.registry import Registry
from schemas.routing import answer_ladder
from schemas.values import AlertKind
from schemas.window import Window
from services.notifier.state import Told

_ASKING: frozenset[AlertKind] = frozenset({"scheduled", "rescheduled", "opened", "withdrawn", "no-longer-addressed"})
_CHASED: frozenset[AlertKind] = _ASKING - {"no-longer-addressed"}


@dataclass(frozen=True, slots=True)
class Change:
    """What is told: the window, what made it so, and under which registry."""

    window: Window
    registry: Registry
    now: datetime
    due_at: datetime | None = None
    happened_at: datetime | None = None
    changed: tuple[str, ...] = ()
    traceparent: str | None = None
    content: Content = field(init=False)
    """What is told of the window: the same for everyone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", content_of(self.window))


def told_of(told: Told, change: Change, agency: str, kind: AlertKind, why: Why) -> list[Emitted]:
    """An alert, and its disclosure."""
    alert = issued(told, change, agency, kind, why)
    disclosure = DisclosureMade.model_construct(
        release_id=alert.release_id,
        lab=change.window.lab,
        reference=change.window.statement.reference,
        agency=agency,
        alert_id=alert.alert_id,
        kind=kind,
        why=alert.why,
        life=alert.life,
        exercise=alert.exercise,
        told_at=change.now,
    )
    return [alert, disclosure]


def issued(told: Told, change: Change, agency: str, kind: AlertKind, why: Why) -> AlertIssued:
    """An agency's next alert."""
    window, sequence = change.window, told.sequence + 1
    dropped = kind == "no-longer-addressed"
    opens_at = None if kind == "withdrawn" else window.opens_at
    if window.short_notice and kind in {"scheduled", "opened"} and why == "matching":
        why = "short-notice" if kind not in change.registry.agencies[agency].kinds else why
    chased = kind in _CHASED and agency in change.registry.agencies
    ladder = answer_ladder(change.registry.agencies[agency], window.policy, opens_at, change.now) if chased else ()
    return AlertIssued.model_construct(
        alert_id=alert_id(window.release_id, agency, sequence),
        release_id=window.release_id,
        agency=agency,
        sequence=sequence,
        kind=kind,
        life=window.life,
        revision=window.revision,
        tlp=told.tlp if dropped else window.statement.tlp,
        exercise=window.exercise,
        short_notice=window.short_notice and not dropped,
        why=why,
        asks="received" if kind in _ASKING else None,
        chased=chased,
        answer_by=ladder,
        tier=ladder[0].tier if ladder else None,
        changed=() if dropped else change.changed,
        due_at=None if dropped else change.due_at,
        happened_at=change.happened_at or change.now,
        issued_at=change.now,
        registry_version=change.registry.version,
        content=None if dropped else change.content,
    )


def content_of(window: Window) -> Content:
    """What an agency is told of a window."""
    release = window.statement
    return Content(
        lab=window.lab,
        reference=release.reference,
        model=release.model,
        capabilities=release.capabilities,
        trusted_partner_release_at=release.trusted_partner_release_at,
        public_release_at=release.public_release_at,
        access=release.early_access.access if release.early_access else None,
        embargo_until=release.embargo_until,
        handling=release.handling,
        window=AlertWindow(
            status=window.status,
            opens_at=window.opens_at,
            closes_at=window.closes_at,
            opened_at=window.opened_at,
            ended_at=window.ended_at,
            reason=window.reason,
        ),
    )
