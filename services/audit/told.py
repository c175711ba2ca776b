"""An alert as it should read, field by field, given its place in the order and when it was issued."""

from datetime import datetime
from typing import Any

from schemas.alert import AlertIssued, AlertWindow, Answer, Content, Why, alert_id
from schemas.envelope import Data, Event
from schemas.registry import Registry
from schemas.values import AlertKind, Tlp
from schemas.window import Window
from services.audit.concern import ASKING, CHASED, OPENINGS, ladder
from services.audit.due import Due


def content(window: Window) -> Content:
    """What the lab lets an agency know."""
    said = window.statement
    return Content(
        lab=window.lab,
        reference=said.reference,
        model=said.model,
        capabilities=said.capabilities,
        trusted_partner_release_at=said.trusted_partner_release_at,
        public_release_at=said.public_release_at,
        access=said.early_access.access if said.early_access is not None else None,
        embargo_until=said.embargo_until,
        handling=said.handling,
        window=AlertWindow(**{name: getattr(window, name) for name in AlertWindow.model_fields}),
    )


def reason(why: Why, kind: AlertKind, agency: str, window: Window, registry: Registry) -> Why:
    """Why it is told; an opening that its interests would have left out is told because time is short."""
    if why == "matching" and window.short_notice and kind in OPENINGS and kind not in registry.agencies[agency].kinds:
        return "short-notice"
    return why


def first_told(due: Due, sequence: int, issued_at: datetime) -> AlertIssued:
    """The alert that is due."""
    window, registry = due.window, due.registry
    is_farewell = due.kind == "no-longer-addressed"
    rungs: tuple[Answer, ...] = ()
    if due.kind in CHASED and due.agency in registry.agencies:
        opens_at = None if due.kind == "withdrawn" else window.opens_at
        rungs = ladder(registry.agencies[due.agency], window.policy, opens_at, issued_at)
    more: dict[str, Any] = {"tlp": due.tlp}
    if not is_farewell:
        more = {"tlp": window.statement.tlp, "short_notice": window.short_notice, "content": content(window)}
        more |= {"changed": due.changed, "due_at": due.due_at}
    return _alert(due.agency, due.kind, due.why, window, registry, sequence, issued_at).model_copy(
        update=more
        | {
            "answer_by": rungs,
            "tier": rungs[0].tier if rungs else None,
            "chased": bool(rungs),
            "happened_at": due.happened_at or issued_at,
        }
    )


def told_again(
    first: AlertIssued, given: AlertIssued, why: Why, window: Window, registry: Registry, tlp: Tlp
) -> AlertIssued:
    """A repetition of an alert on the window as it stands by then; tier and chase are those of its reminder."""
    again = _alert(given.agency, first.kind, why, window, registry, given.sequence, given.issued_at)
    return again.model_copy(
        update={
            "tlp": tlp,
            "short_notice": window.short_notice,
            "content": content(window),
            "answer_by": first.answer_by,
            "chased": given.agency in registry.agencies,
            "happened_at": first.happened_at,
            "repeats": first.alert_id,
            "tier": given.tier,
            "chase": given.chase,
        }
    )


def _alert(
    agency: str,
    kind: AlertKind,
    why: Why,
    window: Window,
    registry: Registry,
    sequence: int,
    issued_at: datetime,
) -> AlertIssued:
    return AlertIssued(
        alert_id=alert_id(window.release_id, agency, sequence),
        release_id=window.release_id,
        agency=agency,
        sequence=sequence,
        kind=kind,
        life=window.life,
        revision=window.revision,
        tlp="TLP:AMBER+STRICT",
        exercise=window.exercise,
        why=reason(why, kind, agency, window, registry),
        asks="received" if kind in ASKING else None,
        happened_at=issued_at,
        issued_at=issued_at,
        registry_version=registry.version,
    )


def edited(given: Event[Any], wanted: Data, **attributes: Any) -> list[str]:
    """The names of what differs in an event: fields of its data, and attributes of its envelope. Never values."""
    data = [name for name in type(wanted).model_fields if getattr(given.data, name) != getattr(wanted, name)]
    return data + [f"event {name}" for name, value in attributes.items() if getattr(given, name) != value]
