"""The first page: windows on a time line, and who was told of each and what they said. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schemas.registry import Registry
from services.gateway.console.standing import Standing, standing

STATUSES = {
    "current": ("scheduled", "open"),
    "open": ("open",),
    "scheduled": ("scheduled",),
    "ended": ("closed", "withdrawn"),
    "not-offered": ("not-offered",),
    "all": ("scheduled", "open", "closed", "withdrawn", "not-offered"),
}
"""What the filter offers, and what it means."""

_ORDER = {"open": 0, "scheduled": 0, "closed": 1, "withdrawn": 1, "not-offered": 2}
_LONGEST_AHEAD, _LONGEST_BEHIND = timedelta(days=75), timedelta(days=40)


@dataclass(frozen=True, slots=True)
class Row:
    """One release. `next_is` says what comes at `next_at`; `zones`: where agencies that were told read the clock."""

    window: dict[str, Any]
    next_is: str | None
    next_at: datetime | None
    agencies: Mapping[str, Standing]
    zones: Mapping[str, tuple[str, ...]]

    @property
    def release_id(self) -> str:
        """Its opaque id."""
        return str(self.window["release_id"])

    @property
    def name(self) -> str:
        """Its key for people."""
        return f"{self.window['lab']}/{self.window['statement']['reference']}"

    @property
    def overdue(self) -> list[str]:
        """Agencies whose answer is overdue."""
        return [name for name, one in self.agencies.items() if one.is_overdue]


@dataclass(frozen=True, slots=True)
class Sums:
    """At a glance: how many windows, what is next, and whose answers are overdue. Drills are no part of it."""

    open: int
    scheduled: int
    following: Row | None
    overdue: int
    overdue_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A window on the time line: where it begins and how long it is, in per cent."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Scale:
    """The span of time that is drawn."""

    first: datetime
    last: datetime

    def x(self, at: datetime) -> float:
        """Where an instant is, in per cent; beyond the ends, at the end."""
        return round(min(max((at - self.first) / (self.last - self.first), 0.0), 1.0) * 100, 2)

    def bar(self, row: Row) -> Bar | None:
        """A window's bar; None: nothing of it is in the picture."""
        opens, closes = _at(row.window, "opened_at") or _at(row.window, "opens_at"), _at(row.window, "ended_at")
        closes = closes or _at(row.window, "closes_at")
        if opens is None or closes is None or closes < self.first or opens > self.last:
            return None
        x = self.x(opens)
        return Bar(x, max(round(self.x(closes) - x, 2), 0.4))

    def ticks(self) -> list[tuple[float, datetime]]:
        """Midnights to write below, at most nine, evenly."""
        days = (self.last - self.first).days or 1
        step = next(one for one in (1, 2, 7, 14, 28) if days / one <= 9)
        at = self.first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        found = []
        while at < self.last:
            found.append((self.x(at), at))
            at += timedelta(days=step)
        return [(x, at) for x, at in found if 2 < x < 96]


def rows(
    windows: Sequence[dict[str, Any]],
    alerts: Mapping[str, Sequence[dict[str, Any]]],
    answers: Mapping[str, Sequence[dict[str, Any]]],
    registry: Registry,
    now: datetime,
) -> list[Row]:
    """Each window with its agencies, in the same order."""
    found = []
    for window in windows:
        told = _standings(alerts.get(window["release_id"], ()), answers.get(window["release_id"], ()), now)
        next_is, next_at = following(window)
        found.append(Row(window, next_is, next_at, told, _zones(told, registry)))
    return found


def ordered(windows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What comes next first, then what ended last."""
    return sorted(windows, key=_place)


def sums(shown: Sequence[Row]) -> Sums:
    """What rows come to, in their order."""
    late = [agency for row in shown for agency in row.overdue]
    return Sums(
        open=sum(row.window["status"] == "open" for row in shown),
        scheduled=sum(row.window["status"] == "scheduled" for row in shown),
        following=next((row for row in shown if row.next_at is not None), None),
        overdue=len(late),
        overdue_by=tuple(sorted(set(late))),
    )


def following(window: dict[str, Any]) -> tuple[str | None, datetime | None]:
    """What comes next of a window, and when."""
    opens, closes = _at(window, "opens_at"), _at(window, "closes_at")
    if window["status"] == "scheduled":
        return "opens", opens
    if window["status"] == "open":
        return "closes", closes
    return None, None


def scale(shown: Sequence[Row], now: datetime) -> Scale:
    """What to draw: everything of these windows that is not too far away, and some room."""
    times = [now]
    for row in shown:
        for name in ("opens_at", "closes_at", "opened_at", "ended_at"):
            if (at := _at(row.window, name)) is not None:
                times.append(at)
    near = [at for at in times if now - _LONGEST_BEHIND <= at <= now + _LONGEST_AHEAD]
    room = max((max(near) - min(near)) * 0.06, timedelta(days=1))
    return Scale(min(near) - room, max(near) + room)


def _standings(
    alerts: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]], now: datetime
) -> dict[str, Standing]:
    told, said = defaultdict(list), defaultdict(list)
    for one in alerts:
        told[one["data"]["agency"]].append(one["data"])
    for one in answers:
        said[one["data"]["agency"]].append(one)
    found = {agency: standing(told[agency], said[agency], now) for agency in sorted(told)}
    return {agency: one for agency, one in found.items() if one is not None}


def _zones(told: Mapping[str, Standing], registry: Registry) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for agency in told:
        if agency in registry.agencies and registry.agencies[agency].time_zone != "UTC":
            found[registry.agencies[agency].time_zone].append(agency)
    return {zone: tuple(agencies) for zone, agencies in sorted(found.items())}


def _place(window: dict[str, Any]) -> tuple[int, float]:
    _, next_at = following(window)
    if next_at is not None:
        return 0, next_at.timestamp()
    ended = _at(window, "ended_at") or _at(window, "closes_at")
    return 1 + _ORDER[window["status"]], -ended.timestamp() if ended else 0.0


def _at(window: dict[str, Any], name: str) -> datetime | None:
    value = window.get(name)
    return datetime.fromisoformat(value) if value else None
