"""An agency's windows as a calendar. Pure: from its alerts, in their order. Source: RFC 5545, RFC 7986.

Thin: when, and an opaque id. Which lab and which model stand in the alerts alone, since calendars are widely shared.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from icalendar import Calendar, Event

from schemas.alert import AlertIssued
from schemas.envelope import derived_id
from schemas.values import AlertKind

FORMAT = 1
"""Counted up when the same alerts give another calendar, so that no client keeps an old one."""

AGAIN = timedelta(hours=1)
NOTICEABLE = timedelta(minutes=1)
_OVER: frozenset[AlertKind] = frozenset({"withdrawn", "no-longer-addressed"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One window in one life. `sequence` is that of the alert that changed it last, so it never goes back."""

    uid: str
    release_id: str
    starts_at: datetime
    ends_at: datetime
    cancelled: bool
    exercise: bool
    sequence: int
    changed_at: datetime


class Entries:
    """The windows that an agency was told of."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, int], Entry] = {}

    def take(self, alert: AlertIssued) -> None:
        """Takes over the next alert. What changes neither times nor status leaves the entry as it is."""
        key = (alert.release_id, alert.life)
        known = self._of.get(key)
        entry = _entry(alert) or known
        if entry is None:  # no early access, or no word of it yet
            return
        following = replace(entry, cancelled=alert.kind in _OVER)
        if known is None or _seen(known) != _seen(following):
            self._of[key] = replace(following, sequence=alert.sequence, changed_at=alert.issued_at)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._of.values())


def calendar(entries: Iterable[Entry]) -> bytes:
    """As iCalendar, in UTC."""
    found = Calendar()
    for name, value in (("version", "2.0"), ("prodid", "-//Herald//Early-access windows//EN")):
        found.add(name, value)
    found.add("name", "Early-access windows")
    found.add("x-wr-calname", "Early-access windows")
    found.add("refresh-interval", AGAIN, parameters={"VALUE": "DURATION"})
    for entry in entries:
        found.add_component(_event(entry))
    written: bytes = found.to_ical()
    return written


def _entry(alert: AlertIssued) -> Entry | None:
    """The window as an alert tells it; None where it tells of none."""
    window = alert.content.window if alert.content else None
    if window is None or window.opens_at is None or window.closes_at is None:
        return None
    return Entry(
        uid=derived_id("calendar", alert.agency, alert.release_id, str(alert.life)),
        release_id=alert.release_id,
        starts_at=_really(window.opens_at, window.opened_at),
        ends_at=_really(window.closes_at, window.ended_at if window.status == "closed" else None),
        cancelled=False,
        exercise=alert.exercise,
        sequence=alert.sequence,
        changed_at=alert.issued_at,
    )


def _really(planned: datetime, happened: datetime | None) -> datetime:
    """What happened, where it was noticeably later than planned; in whole seconds, as calendars count."""
    real = happened if happened is not None and happened - planned >= NOTICEABLE else planned
    return real.replace(microsecond=0)


def _seen(entry: Entry) -> tuple[datetime, datetime, bool]:
    return entry.starts_at, entry.ends_at, entry.cancelled


def _event(entry: Entry) -> Event:
    event = Event()
    event.add("uid", entry.uid)
    event.add("dtstamp", entry.changed_at)
    event.add("last-modified", entry.changed_at)
    event.add("sequence", entry.sequence)
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    event.add("dtstart", entry.starts_at)
    if entry.ends_at > entry.starts_at:  # section 3.8.2.2: an end is later than its start, or there is none
        event.add("dtend", entry.ends_at)
    event.add("summary", f"{'EXERCISE: ' if entry.exercise else ''}Early-access window {entry.release_id[:8]}")
    event.add("description", f"Release {entry.release_id}: your alerts say more. Early access is voluntary.")
    event.add("class", "CONFIDENTIAL")
    event.add("transp", "TRANSPARENT")
    return event
