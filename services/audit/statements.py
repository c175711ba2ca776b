"""Holds the windows against the statements that they follow from, and against the time that has passed."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from schemas.announcement import AnnouncementRevised
from schemas.envelope import derived_id
from schemas.values import rfc3339
from schemas.window import Window, WindowClosed, WindowClosingSoon, WindowOpened
from services.audit.difference import Difference, found
from services.audit.record import Bounds, Seen
from services.audit.story import Story

_TIMERS: dict[type, str] = {WindowOpened: "opens", WindowClosingSoon: "closing-soon", WindowClosed: "closes"}


def statements(story: Story, bounds: Bounds) -> Iterator[Difference]:
    """Every window's event follows from a statement or a timer, and the other way round."""
    said = {one.data.announcement.revision: one for one in story.announcements}
    before: Window | None = None
    for seen in story.windows:
        yield from _follows(seen, before, said, bounds)
        before = seen.data.window
    for announcement in said.values():
        if _moves(announcement, story, bounds):
            revision = announcement.data.announcement.revision
            if all(one.data.window.revision != revision for one in story.windows):
                what = f"revision {revision} moved no window"
                yield found("window-missing", announcement, what, release_id=story.release_id)
    if story.windows:
        yield from _overdue(story.windows[-1], bounds)


def _follows(seen: Seen, before: Window | None, said: dict[int, Seen], bounds: Bounds) -> Iterator[Difference]:
    event, window = seen.data, seen.data.window
    announcement = said.get(window.revision)
    if announcement is None:
        if said and window.revision >= min(said):
            what = f"revision {window.revision} was never recorded"
            yield found("window-unexpected", seen, what, release_id=window.release_id)
        return
    stated = announcement.data.announcement
    names = [] if window.statement == stated.statement else ["statement"]
    names += [] if window.lab == stated.lab else ["lab"]
    names += [] if window.exercise == stated.statement.exercise else ["exercise"]
    names += [] if seen.event.source == "/services/windows" else ["event source"]
    causes = [derived_id("announcements", announcement.event.id)]
    if event.due_at is not None and before is not None:
        causes = [_timer(event, before, revision) for revision in range(before.revision, window.revision + 1)]
    if seen.event.id not in {derived_id(cause, event.type, "0") for cause in causes}:
        names.append("event id")
    if event.due_at is None and event.happened_at < stated.recorded_at - bounds.apart:
        names.append("happened_at")
    if event.due_at is not None and event.happened_at < event.due_at:
        names.append("happened_at")
    if names:
        what = f"not as its statement or timer implies: {', '.join(names)}"
        yield found("record-edited", seen, what, release_id=window.release_id)


def _timer(event: Any, before: Window, revision: int) -> str:
    """The cause of a transition by time. A statement that reached nobody may have come between."""
    name, about = _TIMERS.get(type(event), ""), f"{before.life}/{revision}"
    due_at: datetime = event.due_at
    return derived_id("timer", before.release_id, name, due_at.isoformat(), about)


def _moves(announcement: Seen, story: Story, bounds: Bounds) -> bool:
    """Whether a statement must have led to an event of the window."""
    if announcement.ms > bounds.settled_ms:
        return False
    if isinstance(announcement.data, AnnouncementRevised) and not announcement.data.material:
        return False
    life, revision = announcement.data.announcement.life, announcement.data.announcement.revision
    before = [one.data for one in story.windows if one.data.window.revision < revision]
    if not before:
        return True
    if life > before[-1].window.life:
        # Where it offers nothing, no time, or was taken so late that nothing of it is ahead, it is only recorded.
        said, offer = announcement.data.announcement.statement, announcement.data.announcement.statement.early_access
        release_at = said.trusted_partner_release_at
        opens = offer.opens if offer is not None else release_at
        opens_at = release_at - opens if isinstance(opens, timedelta) else opens
        closes_at = min(release_at, (offer.closes_at if offer is not None else None) or release_at)
        is_offer = closes_at > max(opens_at, announcement.at + bounds.apart)
        return bool(is_offer or before[-1].window.reason == "withdrawn")
    return all(one.window.ended_at is None for one in before if one.window.life == life)


def _overdue(last: Seen, bounds: Bounds) -> Iterator[Difference]:
    """The opening and the closing of the window as it stands have come, or are still ahead."""
    window: Window = last.data.window
    what = {"scheduled": "opening", "open": "closing"}.get(window.status)
    due_at = window.opens_at if window.status == "scheduled" else window.closes_at
    if what is not None and due_at is not None and max(due_at, last.at) < bounds.settled_at - bounds.apart:
        said = f"the {what} was due at {rfc3339(due_at)}, and did not happen"
        yield found("transition-missing", last, said, release_id=window.release_id)
