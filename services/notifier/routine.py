"""Which alerts may wait for the end of quiet hours."""

from datetime import datetime, timedelta

from schemas.alert import AlertIssued
from schemas.command import Command, Received
from schemas.release import Release
from schemas.window import Window, WindowRescheduled

_SMALL = timedelta(days=1)
"""A move of less than this can wait until the morning."""

_INSTANTS = ("trusted_partner_release_at", "public_release_at", "embargo_until", "stated_at")


def is_routine(alert: AlertIssued, before: Window | None, command: Command) -> bool:
    """Closing soon, closed, and a small move of dates that changed nothing else, when the window's event says so.

    A reminder or escalation never is: it follows from no event of the window. `before` is the window as it stood until
    this command.
    """
    if alert.kind in {"closing-soon", "closed"}:
        return True
    if alert.kind != "rescheduled" or before is None or not isinstance(command, Received):
        return False
    event = command.event.data
    return isinstance(event, WindowRescheduled) and _moved_a_little(before, event.window)


def speaks_of(alert: AlertIssued) -> datetime | None:
    """The event ahead that a routine alert speaks of: the opening of a window that is scheduled, else its closing."""
    window = alert.content.window if alert.content is not None else None
    if window is None or window.ended_at is not None:
        return None
    return window.opens_at if window.status == "scheduled" else window.closes_at


def _moved_a_little(before: Window, after: Window) -> bool:
    old, new = before.statement, after.statement
    moves = (
        (before.opens_at, after.opens_at),
        (before.closes_at, after.closes_at),
        (old.trusted_partner_release_at, new.trusted_partner_release_at),
        (old.public_release_at, new.public_release_at),
        (old.embargo_until, new.embargo_until),
    )
    same_life = before.life == after.life and before.status == after.status
    return same_life and all(_is_small(*move) for move in moves) and _without_times(old) == _without_times(new)


def _is_small(before: datetime | None, after: datetime | None) -> bool:
    if before is None or after is None:
        return before is after
    return abs(after - before) < _SMALL


def _without_times(release: Release) -> Release:
    """A statement but for its instants: of the offer, the access remains."""
    access = release.early_access.access if release.early_access else None
    return release.model_copy(update=dict.fromkeys(_INSTANTS) | {"early_access": access})
