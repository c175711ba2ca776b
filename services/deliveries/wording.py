"""What Herald says to people of an alert without a word that a lab has written. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.alert import AlertIssued
from schemas.values import AlertKind
from services.deliveries.letter import Letter

_HEADLINES: dict[AlertKind, str] = {
    "scheduled": "Early access is planned",
    "rescheduled": "Early access has changed",
    "opened": "Early access is open",
    "closing-soon": "Early access ends soon",
    "closed": "Early access has ended",
    "withdrawn": "Early access has been withdrawn",
    "no-longer-addressed": "A release does not address you any more",
    "announced": "No early access is offered",
}
_CHASES = {"reminder": "Reminder: ", "escalation": "Not answered by others: "}


def headline(alert: AlertIssued) -> str:
    """One line: a drill says so first, then what has happened, and the TLP label."""
    mark = "EXERCISE: " if alert.exercise else ""
    return f"{mark}{news(alert)} [{alert.tlp}]"


def news(alert: AlertIssued) -> str:
    """What has happened, and that it is said once more."""
    return _CHASES.get(alert.chase or "", "") + _HEADLINES[alert.kind]


def answer_by(alert: AlertIssued) -> datetime | None:
    """When the tier that it is for must have answered."""
    return next((each.due_at for each in alert.answer_by if each.tier == alert.tier), None)


def facts(alert: AlertIssued, time_zone: str) -> Iterator[str]:
    """The lines below it, but for the link."""
    due = answer_by(alert)
    if due is not None:
        yield f"Answer by {times(due, time_zone)}"
    elif alert.asks:
        yield "A sign of receipt is asked for"
    yield f"Kind {alert.kind}"
    yield f"Alert {alert.alert_id}"
    if alert.exercise:
        yield "This is a drill. There is no such release."


def told(letter: Letter) -> str:
    """Of a notice: the line on top."""
    assert letter.notice is not None  # noqa: S101 - a letter without alerts is a notice
    return {
        "test": f"Test: the endpoint {letter.notice.about} has been reached",
        "disabled": f"The endpoint {letter.notice.about} is disabled",
    }[letter.notice.notice]


def about(letter: Letter) -> str:
    """Of a notice: the line below."""
    assert letter.notice is not None  # noqa: S101 - a letter without alerts is a notice
    return {
        "test": "It is about no release, and nothing is asked of you.",
        "disabled": "It has taken nothing for days, and is sent nothing any more. Your other endpoints and your topic "
        "go on. When it works again, Herald's operator resumes it.",
    }[letter.notice.notice]


def times(instant: datetime, time_zone: str) -> str:
    """An instant in UTC, and in the agency's time zone where this machine knows it and it shows another time."""
    utc = instant.astimezone(UTC)
    text = f"{utc:%Y-%m-%d %H:%M} UTC"
    local = utc.astimezone(zone(time_zone) or UTC)
    if local.utcoffset() == utc.utcoffset():
        return text
    return f"{text} ({local:%Y-%m-%d %H:%M} {time_zone.replace('_', ' ')})"


def zone(name: str) -> ZoneInfo | None:
    """A time zone; None where this machine does not know it, and UTC alone is said."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
