"""Decides a round: what is said next, and which hop is missing when it comes to nothing. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from schemas.acknowledgement import AcknowledgementSubmitted
from schemas.alert import AlertIssued
from schemas.envelope import Data, Event, derived_id
from schemas.receipt import ReceiptAccepted, ReceiptRefused, ReceiptUnchanged
from schemas.release import Audience, EarlyAccess, Model, ReleaseAnnounced, ReleaseWithdrawn
from schemas.watchdog import AGENCY, LAB
from services.watchdog.state import Round

_AHEAD = timedelta(days=2)
_OPENS = timedelta(days=1)
"""A window never opens in a round. One that is left behind, because nobody watches any more, closes by itself."""

ENTRY = "gateway or announcements"
TELLING = "windows or notifier"
ANSWERING = "gateway or acknowledgements"


def begin(reference: str, now: datetime) -> tuple[Round, ReleaseAnnounced]:
    """A new round, and what the lab says first. Instants in whole milliseconds: each is another release date."""
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    released_at = at + _AHEAD
    statement = ReleaseAnnounced(
        reference=reference,
        model=Model(name="Watchdog"),
        trusted_partner_release_at=released_at,
        early_access=EarlyAccess(opens=at + _OPENS),
        audience=Audience(mode="listed", agencies=(AGENCY,)),
        exercise=True,
    )
    return Round(reference, at, released_at), statement


def hear(known: Round, event: Event[Any]) -> tuple[Round, list[Data]]:
    """The round after what came on the watchdog's own topics, and what is said to it."""
    after = _noted(known, event.data)
    if after.alert is None or after.refused:
        return after, []
    if after.accepted and not (known.accepted and known.alert):
        return after, [answer(after.alert)]
    if after.answered and not known.answered:
        return after, [ReleaseWithdrawn(reference=after.reference)]
    if after.withdrawn and after.end and not (known.withdrawn and known.end):
        return after, [answer(after.end)]
    return after, []


def missing(known: Round) -> str | None:
    """The hop of which nothing has come; None: the round is complete."""
    if not known.accepted:
        return ENTRY
    if known.alert is None:
        return TELLING
    if not known.answered:
        return ANSWERING
    if not known.withdrawn:
        return ENTRY
    if known.end is None:
        return TELLING
    return None if known.over else ANSWERING


def answer(alert: AlertIssued) -> AcknowledgementSubmitted:
    """The agency's answer to an alert."""
    return AcknowledgementSubmitted(alert_id=alert.alert_id, release_id=alert.release_id, disposition="received")


def event_id(said: Data, at: datetime) -> str:
    """The id under which something is said in the round that began then: a repeat has the same."""
    about = said.alert_id if isinstance(said, AcknowledgementSubmitted) else str(getattr(said, "reference", ""))
    return derived_id("watchdog", said.type, about, at.isoformat())


def written(said: Data, event_id: str) -> tuple[str, Event[Any]]:
    """The edge topic that something is said on, and its event."""
    is_agencys = isinstance(said, AcknowledgementSubmitted)
    source, topic = (f"/agencies/{AGENCY}", f"acks.{AGENCY}") if is_agencys else (f"/labs/{LAB}", f"releases.{LAB}")
    return topic, Event[Any].model_construct(specversion="1.0", id=event_id, source=source, type=said.type, data=said)


def _noted(known: Round, data: Data) -> Round:
    if isinstance(data, AlertIssued):
        return _told(known, data)
    if isinstance(data, ReceiptRefused) and data.event_id in _said(known):
        return replace(known, refused=tuple(reason.code for reason in data.reasons))
    if isinstance(data, ReceiptAccepted | ReceiptUnchanged) and data.event_id in (ids := _said(known)):
        update: dict[str, Any] = {ids[data.event_id]: True}
        return replace(known, **update)
    return known


def _told(known: Round, alert: AlertIssued) -> Round:
    if known.alert is None:
        content = alert.content
        is_ours = content is not None and content.trusted_partner_release_at == known.released_at
        return replace(known, alert=alert) if is_ours and alert.kind in {"scheduled", "rescheduled"} else known
    is_end = alert.kind == "withdrawn" and alert.release_id == known.alert.release_id and known.end is None
    return replace(known, end=alert) if is_end else known


def _said(known: Round) -> dict[str, str]:
    """The ids under which things were or will be said in this round, and what a receipt of each means."""
    ids = {
        event_id(begin(known.reference, known.at)[1], known.at): "accepted",
        event_id(ReleaseWithdrawn(reference=known.reference), known.at): "withdrawn",
    }
    for alert, means in ((known.alert, "answered"), (known.end, "over")):
        if alert is not None:
            ids[event_id(answer(alert), known.at)] = means
    return ids
