"""Draws latencies as lines: which share of the events had come out after how many milliseconds."""

from html import escape
from math import log

WIDTH, HEIGHT, LEFT, TOP = 760, 380, 50, 20
ENDS = (10, 3000)
"""Milliseconds at both ends of the logarithmic axis."""
COLOURS = ("#0b6e4f", "#08a045", "#b23a48", "#e07a5f", "#3d405b", "#81a4cd")


def plot(samples: dict[str, list[float]]) -> str:
    """An SVG picture. `samples`: sorted milliseconds by the line's name."""
    lines = [_axis()]
    for (name, found), colour in zip(samples.items(), COLOURS, strict=False):
        shares = [(found[min(len(found) - 1, len(found) * s // 100)], s) for s in range(100)]
        points = " ".join(f"{_x(ms):.1f},{_y(share):.1f}" for ms, share in shares)
        dash = ' stroke-dasharray="6 3"' if "100/s" in name else ""
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        at = TOP + 20 + 18 * len(lines)
        lines.append(f'<text x="{WIDTH - 280}" y="{at}" fill="{colour}">{escape(name)}</text>')
    body = "\n".join(lines)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    title = "<title>From announce to alert: share of events by milliseconds</title>"
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{title}\n{body}\n</svg>\n'


def _axis() -> str:
    marks = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    for ms in (10, 30, 100, 300, 1000, 3000):
        marks.append(f'<line x1="{_x(ms):.1f}" x2="{_x(ms):.1f}" y1="{_y(100)}" y2="{_y(0)}" stroke="#dddddd"/>')
        marks.append(f'<text x="{_x(ms):.1f}" y="{_y(0) + 18}" text-anchor="middle">{ms} ms</text>')
    for share in (0, 50, 90, 100):
        marks.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{_y(share)}" y2="{_y(share)}" stroke="#dddddd"/>')
        marks.append(f'<text x="{LEFT - 6}" y="{_y(share) + 4}" text-anchor="end">{share} %</text>')
    return "\n".join(marks)


def _x(ms: float) -> float:
    first, last = ENDS
    share = log(min(max(ms, first), last) / first) / log(last / first)
    return LEFT + share * (WIDTH - LEFT - 30)


def _y(share: float) -> float:
    return TOP + (1 - share / 100) * (HEIGHT - TOP - 40)
