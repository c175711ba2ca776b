"""The pictures in the docs, drawn from what was measured last."""

from pathlib import Path

from tests.bench.plot import Axis, Picture
from tests.bench.table import Row

DOCS = Path(__file__).parents[2] / "docs"


def draw_latencies(samples: dict[str, list[float]]) -> Path:
    """Which share of the events had come out after how many milliseconds. `samples`: sorted, by the line's name."""
    lines = {
        name: [(found[min(len(found) - 1, len(found) * share // 100)], float(share)) for share in range(100)]
        for name, found in samples.items()
    }
    across = Axis(10, 3000, (10, 30, 100, 300, 1000, 3000), lambda ms: f"{ms:.0f} ms", is_log=True)
    up = Axis(0, 100, (0, 50, 90, 100), lambda share: f"{share:.0f} %")
    title = "From announce to alert: share of events by milliseconds"
    return _written("bench.svg", Picture(title, across, up, lines, dashed="100/s"))


def draw_fan_outs(rows: list[Row], agencies: list[int]) -> Path:
    """Alerts a second as one change reaches more agencies, Herald's and each peer's."""
    lines = {"Herald": [(float(count), row.herald * count) for count, row in zip(agencies, rows, strict=True)]}
    for who in rows[0].peers:
        lines[who] = [(float(count), row.peers[who].value * count) for count, row in zip(agencies, rows, strict=True)]
    across = Axis(agencies[0], agencies[-1], tuple(agencies), lambda count: f"{count:,.0f} agencies", is_log=True)
    up = Axis(300, 100_000, (300, 1000, 3000, 10_000, 30_000, 100_000), lambda rate: f"{rate:,.0f}/s", is_log=True)
    title = "Fan-out of one change: alerts a second by agencies told"
    return _written("bench-fan-out.svg", Picture(title, across, up, lines))


def draw_growth(lines: dict[str, list[tuple[float, float]]], counts: list[int]) -> Path:
    """What more live windows cost, as multiples of what they cost where there are fewest."""
    across = Axis(counts[0], counts[-1], tuple(counts), lambda count: f"{count:,.0f} windows", is_log=True)
    up = Axis(0, 2, (0, 0.5, 1, 1.2, 1.5, 2), lambda times: f"{times:g}")
    title = "Live windows: cost of one event, as a multiple of that at the fewest"
    return _written("bench-scale.svg", Picture(title, across, up, lines))


def _written(name: str, picture: Picture) -> Path:
    path = DOCS / name
    path.write_text(picture.svg())
    return path
