"""Decides the window: derived from the latest statement, moved by durable timers.

Nothing that an agency does or fails to do has a way in.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.announcement import Announcement, AnnouncementRevised, AnnouncementWithdrawn
from schemas.command import Command, Received, TimerDue
from schemas.envelope import Emitted
from schemas.plan import Plan, closing_reason, plan
from schemas.registry import Registry
from schemas.window import (
    Window,
    WindowClosed,
    WindowClosingSoon,
    WindowNotOffered,
    WindowOpened,
    WindowPolicy,
    WindowRescheduled,
    WindowScheduled,
    WindowWithdrawn,
)
from services.windows.state import WindowState

WindowEvent = (
    WindowScheduled
    | WindowRescheduled
    | WindowOpened
    | WindowClosingSoon
    | WindowClosed
    | WindowWithdrawn
    | WindowNotOffered
)


@dataclass(frozen=True, slots=True)
class Followed(Emitted):
    """A statement that reaches nobody: the window takes it over for what it says later."""

    window: Window

    def topics(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Traced(Emitted):
    """The trace of the statement that the window follows now."""

    traceparent: str

    def topics(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Shrunk(Emitted):
    """The window ended long ago: its history stays in the topics."""

    def topics(self) -> tuple[str, ...]:
        return ()


def decide(state: WindowState | None, command: Command, now: datetime) -> list[Emitted]:
    """The events that follow from an announcement or a timer; at most one is written to `windows`."""
    if isinstance(command, TimerDue) and state is not None and state.window is not None:
        return _fire(state.window, command, now)
    if not isinstance(command, Received):
        return []
    events, trace = _hear(state, command, now), command.event.traceparent
    return [*events, Traced(trace)] if events and trace is not None else events


def evolve(state: WindowState | None, emitted: Emitted) -> WindowState | None:
    """The state after one emitted event."""
    if isinstance(emitted, Shrunk):
        return state.model_copy(update={"window": None, "warn_at": None, "traceparent": None}) if state else None
    if isinstance(emitted, Traced):
        return state.model_copy(update={"traceparent": emitted.traceparent}) if state else None
    if isinstance(emitted, Followed):
        update = {"revision": emitted.window.revision, "window": emitted.window}
        return state.model_copy(update=update) if state else None
    if not isinstance(emitted, WindowEvent):
        return state
    window = emitted.window
    return WindowState.model_construct(
        life=window.life,
        revision=window.revision,
        status=window.status,
        reason=window.reason,
        ended_at=window.ended_at,
        warn_at=_warn_at(state, emitted),
        window=window,
        traceparent=state.traceparent if state else None,
    )


def _hear(state: WindowState | None, command: Received, now: datetime) -> list[Emitted]:
    event = command.event.data
    if isinstance(event, AnnouncementWithdrawn):
        return _withdraw(state, event.announcement, now)
    if isinstance(event, AnnouncementRevised):
        return _follow(state, event.announcement, command.registry, now, event.changed, event.material)
    return _follow(state, event.announcement, command.registry, now, (), True)


def _fire(window: Window, command: TimerDue, now: datetime) -> list[Emitted]:
    match command.name:
        case "opens":
            opened = window.model_copy(update={"status": "open", "opened_at": now})
            return [WindowOpened(window=opened, due_at=command.due_at, happened_at=now)]
        case "closing-soon":
            return [WindowClosingSoon(window=window, due_at=command.due_at, happened_at=now)]
        case "closes":
            reason = closing_reason(window.statement, command.due_at)
            closed = window.model_copy(update={"status": "closed", "ended_at": now, "reason": reason})
            return [WindowClosed(window=closed, due_at=command.due_at, happened_at=now)]
        case _:
            return [Shrunk()]


def _withdraw(state: WindowState | None, announcement: Announcement, now: datetime) -> list[Emitted]:
    if state is None or state.window is None or state.status in {"closed", "withdrawn"}:
        return []  # what has ended is only recorded, by announcements
    update = {"revision": announcement.revision, "status": "withdrawn", "reason": "withdrawn", "ended_at": now}
    return [WindowWithdrawn(window=state.window.model_copy(update=update), happened_at=now)]


def _follow(
    state: WindowState | None,
    announcement: Announcement,
    registry: Registry,
    now: datetime,
    changed: tuple[str, ...],
    material: bool,
) -> list[Emitted]:
    course = state.course if state else None
    planned = plan(announcement.statement, course, now)
    if state is not None and not planned.new_life:
        if planned.course == course and state.status in {"closed", "withdrawn"}:
            return []  # the statement comes after the end: announcements has recorded it
        if not material and state.window is not None:
            update = {"revision": announcement.revision, "statement": announcement.statement}
            return [Followed(state.window.model_copy(update=update))]
    window = _window(state, announcement, registry, planned, now)
    before = None if state is None or planned.new_life else state.status
    return [_changed_to(before, window, now, changed)]


def _window(
    state: WindowState | None,
    announcement: Announcement,
    registry: Registry,
    planned: Plan,
    now: datetime,
) -> Window:
    """The window that a statement leads to. Its policy is fixed when it is first scheduled in its life."""
    course = planned.course
    same = state.window if state is not None and not planned.new_life else None
    known_policy = same.policy if same is not None and same.status in {"scheduled", "open"} else None
    life = announcement.life
    if state is not None:
        life = max(life, state.life + 1) if planned.new_life else state.life
    opened_at = same.opened_at if same is not None else None
    return Window.model_construct(
        release_id=announcement.release_id,
        lab=announcement.lab,
        life=life,
        revision=announcement.revision,
        status=course.status,
        opens_at=course.opens_at,
        closes_at=course.closes_at,
        opened_at=opened_at or (now if course.status == "open" else None),
        ended_at=now if course.status in {"closed", "withdrawn"} else None,
        reason=None if course.status in {"scheduled", "open"} else course.reason,
        short_notice=planned.short_notice or (same is not None and same.status == "open" and same.short_notice),
        exercise=announcement.statement.exercise,
        policy=known_policy or WindowPolicy.model_construct(**{n: getattr(registry.policy, n) for n in _POLICY}),
        statement=announcement.statement,
    )


_POLICY = tuple(WindowPolicy.model_fields)


def _changed_to(before: str | None, window: Window, now: datetime, changed: tuple[str, ...]) -> Emitted:
    kinds: dict[str, Any] = {
        "not-offered": WindowNotOffered,
        "withdrawn": WindowWithdrawn,
        "closed": WindowClosed,
        "scheduled": WindowRescheduled if before == "scheduled" else WindowScheduled,
        "open": WindowRescheduled if before == "open" else WindowOpened,
    }
    event: Emitted = kinds[window.status].model_construct(window=window, happened_at=now, changed=changed)
    return event


def _warn_at(state: WindowState | None, event: Any) -> datetime | None:
    """When the closing warning is due; None: it was given, or its instant had passed when the closing was planned."""
    window: Window = event.window
    if isinstance(event, WindowClosingSoon) or window.closes_at is None or window.ended_at is not None:
        return None
    same_life = state is not None and state.window is not None and state.life == window.life
    if same_life and state is not None and state.window is not None and state.window.closes_at == window.closes_at:
        return state.warn_at
    at = window.closes_at - window.policy.closing_warning
    opens_at = window.opens_at or event.happened_at
    return at if at > max(opens_at if window.status == "scheduled" else event.happened_at, event.happened_at) else None
