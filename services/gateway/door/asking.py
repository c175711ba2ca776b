"""What the page behind an acknowledgement link shows and asks. Pure: from the alerts and receipts of one release."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.alert import AlertIssued
from schemas.plan import Course, advanced
from schemas.values import Disposition, WindowStatus
from schemas.window import KEPT_AFTER_END

_TAKEN = {"herald.receipt.accepted.v1", "herald.receipt.unchanged.v1"}


@dataclass(frozen=True, slots=True)
class Question:
    """`shown` is the latest alert of the window, `asked` the one that an answer is for, `alert_ids` are all of them."""

    shown: AlertIssued
    asked: AlertIssued
    alert_ids: frozenset[str]
    status: WindowStatus | None
    due_at: datetime | None
    standing: Disposition | None
    offered: tuple[Disposition, ...]


def question(
    alerts: Sequence[AlertIssued], receipts: Sequence[dict[str, Any]], life: int, now: datetime
) -> Question | None:
    """What to ask, of all alerts of a release, oldest first. None: this life's window is over, another has begun."""
    shown = alerts[-1]
    if shown.life != life:
        return None
    mine = [one for one in alerts if one.life == life]
    asking = [one for one in mine if one.asks is not None and one.repeats is None]
    asked = asking[-1] if asking else shown
    said = [one["data"] for one in receipts if one["type"] in _TAKEN and one["data"].get("life") == life]
    status, standing = _status(shown, now), _standing(said)
    answered = any(one.get("alert_id") in _same(alerts, asked) for one in said)
    return Question(
        shown=shown,
        asked=asked,
        alert_ids=frozenset(one.alert_id for one in mine),
        status=status,
        due_at=None if answered or not asked.answer_by else asked.answer_by[0].due_at,
        standing=standing,
        offered=() if _too_late(shown, now) else _offered(shown, status, standing),
    )


def _status(shown: AlertIssued, now: datetime) -> WindowStatus | None:
    """As time alone has moved it since: an agency may have chosen not to be told."""
    if shown.content is None:
        return None
    window = shown.content.window
    return advanced(Course(status=window.status, opens_at=window.opens_at, closes_at=window.closes_at), now).status


def _too_late(shown: AlertIssued, now: datetime) -> bool:
    window = shown.content.window if shown.content else None
    ended_at = (window.ended_at or window.closes_at) if window else None
    return ended_at is not None and now > ended_at + KEPT_AFTER_END


def _standing(said: Sequence[dict[str, Any]]) -> Disposition | None:
    """The last word on taking part, else whether anything was answered."""
    dispositions: list[Disposition] = [one["disposition"] for one in said if one.get("disposition")]
    words = [one for one in dispositions if one != "received"]
    return words[-1] if words else next(iter(dispositions), None)


def _same(alerts: Sequence[AlertIssued], asked: AlertIssued) -> set[str]:
    """An alert and its repetitions: answering either counts."""
    return {one.alert_id for one in alerts if asked.alert_id in {one.alert_id, one.repeats}}


def _offered(shown: AlertIssued, status: WindowStatus | None, standing: Disposition | None) -> tuple[Disposition, ...]:
    """What would be taken now; the acknowledgements service decides it all the same."""
    finish: tuple[Disposition, ...] = ("finished",) if standing in {"participating", "finished"} else ()
    if shown.kind == "announced" or status not in {"scheduled", "open"} or standing == "finished":
        return ("received", *finish)
    return ("received", "participating", "declined", *finish)
