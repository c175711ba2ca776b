"""Draws lines as an SVG picture, with logarithmic axes where figures span decades."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from math import log

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 380, 70, 50, 20, 40
COLUMNS, COLUMN, ROW = 2, 320, 18
"""Of the names, which stand below: in the picture they would lie over lines."""

COLOURS = ("#0b6e4f", "#08a045", "#b23a48", "#e07a5f", "#3d405b", "#81a4cd")

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """Where it begins and ends, the values that are marked, and what a mark says of its value."""

    first: float
    last: float
    marks: tuple[float, ...]
    says: Callable[[float], str]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, from 0 to 1; what lies beyond an end is drawn there."""
        value = min(max(value, self.first), self.last)
        if self.is_log:
            return log(value / self.first) / log(self.last / self.first)
        return (value - self.first) / (self.last - self.first)


@dataclass(frozen=True, slots=True)
class Picture:
    """Lines by name. `dashed`: the names with this in them."""

    title: str
    across: Axis
    up: Axis
    lines: dict[str, Points]
    dashed: str | None = None

    def svg(self) -> str:
        """The picture as a file holds it."""
        height = HEIGHT + ROW * (1 + (len(self.lines) - 1) // COLUMNS)
        drawn = [f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', *self._axes()]
        for number, ((name, points), colour) in enumerate(zip(self.lines.items(), COLOURS, strict=False)):
            places = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
            dash = ' stroke-dasharray="6 3"' if self.dashed is not None and self.dashed in name else ""
            drawn.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
            x, y = LEFT + COLUMN * (number % COLUMNS), HEIGHT + ROW * (number // COLUMNS)
            line = f'x1="{x}" x2="{x + 30}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"{dash}'
            drawn.append(f'<line {line}/><text x="{x + 38}" y="{y + 4}">{escape(name)}</text>')
        size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        style = 'font-family="sans-serif" font-size="12"'
        body = "\n".join(drawn)
        start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
        return f"{start}\n<title>{escape(self.title)}</title>\n{body}\n</svg>\n"

    def _axes(self) -> list[str]:
        bottom, top, drawn = HEIGHT - BOTTOM, TOP, []
        for value in self.across.marks:
            x = f"{self._x(value):.1f}"
            drawn.append(f'<line x1="{x}" x2="{x}" y1="{top}" y2="{bottom}" stroke="#dddddd"/>')
            drawn.append(
                f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{escape(self.across.says(value))}</text>'
            )
        for value in self.up.marks:
            y = self._y(value)
            drawn.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
            drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(self.up.says(value))}</text>')
        return drawn

    def _x(self, value: float) -> float:
        return LEFT + self.across.share(value) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        return HEIGHT - BOTTOM - self.up.share(value) * (HEIGHT - TOP - BOTTOM)
