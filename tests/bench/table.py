"""The races' outcome, for people and for machines."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.bench.bounds import BOUNDS


@dataclass(frozen=True, slots=True)
class Beside:
    """One peer's figure, and Herald's as a ratio of it. `spread`: the lowest and the highest of the turns."""

    value: float
    ratio: float
    spread: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One race. Without peers: a figure that is only printed."""

    race: str
    unit: str
    herald: float
    peers: dict[str, Beside]


def side_by_side(race: str, unit: str, ours: list[float], theirs: dict[str, list[float]]) -> Row:
    """A row of medians over turns; each ratio is that of one turn, and the middle one of them counts."""
    peers = {}
    for who, found in theirs.items():
        ratios = sorted(o / t for o, t in zip(ours, found, strict=True))
        peers[who] = Beside(statistics.median(found), statistics.median(ratios), (ratios[0], ratios[-1]))
    return Row(race, unit, statistics.median(ours), peers)


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """Each row with its bounds, and what of them holds: `aim`, `reach`, `missed`; null where there is none."""
    return [
        {
            "race": row.race,
            "unit": row.unit,
            "herald": row.herald,
            "peers": {who: _stated(row.race, who, beside) for who, beside in row.peers.items()},
        }
        for row in rows
    ]


def _stated(race: str, who: str, beside: Beside) -> dict[str, Any]:
    stated = {"value": beside.value, "ratio": beside.ratio, "spread": beside.spread}
    bound = BOUNDS.get((race, who))
    if bound is None:
        return stated | {"reach": None, "aim": None, "holds": None}
    more = {"reach": bound.reach, "aim": bound.aim, "at_least": bound.at_least}
    return stated | more | {"holds": bound.says(beside.ratio)}


def text(rows: list[Row]) -> str:
    """A table in Markdown, as it stands in the docs, and the count of what holds."""
    lines = ["| race | Herald | beside | ratio (spread) | reach | aim | holds |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        first = f"{row.race}, {row.unit} | {_figure(row.herald)}"
        for who, beside in row.peers.items():
            lines.append(f"| {first} | {_figure(beside.value)}, {who} | {_bounded(row.race, who, beside)} |")
            first = " | "
        if not row.peers:
            lines.append(f"| {first} | | | | | |")
    return "\n".join([*lines, "", _count(rows)])


def _bounded(race: str, who: str, beside: Beside) -> str:
    spread = f" ({_figure(beside.spread[0])} to {_figure(beside.spread[1])})" if beside.spread else ""
    found, bound = f"{_figure(beside.ratio)}{spread}", BOUNDS.get((race, who))
    if bound is None:
        return f"{found} | – | – | "
    aim = "–" if bound.aim is None else f"{bound.sign} {bound.aim:g}"
    return f"{found} | {bound.sign} {bound.reach:g} | {aim} | {bound.says(beside.ratio)}"


def ratio(race: str, who: str, beside: Beside) -> str:
    """A ratio with what it has to reach, and that it does not where that is so."""
    found, bound = _figure(beside.ratio), BOUNDS.get((race, who))
    if bound is None:
        return found
    missed = "; missed" if bound.says(beside.ratio) == "missed" else ""
    return f"{found} (to reach: {bound.sign} {bound.reach:g}{missed})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _count(rows: Iterable[Row]) -> str:
    found = [
        BOUNDS[row.race, who].says(beside.ratio)
        for row in rows
        for who, beside in row.peers.items()
        if (row.race, who) in BOUNDS
    ]
    reached, aims = sum(one != "missed" for one in found), sum(one == "aim" for one in found)
    return f"{reached} of {len(found)} bounds are reached, {aims} of them as aimed at"
