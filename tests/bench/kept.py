"""The figures in the docs: kept in one file, from which their tables are written.

`python -m tests.bench.kept` writes the tables anew, after the file was changed by hand.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from tests.bench import bounds
from tests.bench.bounds import DEFAULTS, IDIOM, QUICK, RAW
from tests.bench.table import Row, ratio, text

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "bench.json"
PAGES = (ROOT / "docs" / "bench.md", ROOT / "README.md")

SHORT = (
    ("announce to alert at 20/s, p50", DEFAULTS),
    ("announce to alert at 20/s, p50", QUICK),
    ("announce to alert at 100/s, p50", DEFAULTS),
    ("announce to alert at 100/s, p50", QUICK),
    ("backlog of announcements", RAW),
    ("backlog of announcements", IDIOM),
    ("fan-out to 8 agencies", RAW),
    ("fan-out to 100 agencies", RAW),
    ("restore of state", bounds.GETMANY),
    ("door, POST /v1/releases", bounds.BARE_DOOR),
    ("deliveries by webhook", bounds.BARE_COURIER),
)
"""What the README tells."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row, and when and how it was measured."""

    row: Row
    measured: str


_KEPT = TypeAdapter(list[Kept])


def keep(rows: list[Row], how: str) -> None:
    """Takes over what was measured, leaves the other rows as they are, and writes the tables."""
    measured = f"{datetime.now(UTC):%Y-%m-%d}, {how}"
    found = {one.row.race: one for one in _read()} | {row.race: Kept(row, measured) for row in rows}
    FIGURES.write_bytes(_KEPT.dump_json(list(found.values()), indent=1) + b"\n")
    write()


def write() -> None:
    """Writes the tables into the pages."""
    for page in PAGES:
        page.write_text(filled(page.read_text()))


def filled(page: str) -> str:
    """The page with its tables from the kept figures, each between its marks."""
    kept = _read()
    for name, table in (("races", _all(kept)), ("ratios", _short(kept))):
        marked = re.compile(rf"(<!-- bench: {name} -->\n).*?(<!-- /bench -->)", re.DOTALL)
        page = marked.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)  # type: ignore[misc]
    return page


def _read() -> list[Kept]:
    return _KEPT.validate_json(FIGURES.read_bytes())


def _all(kept: list[Kept]) -> str:
    runs: dict[str, list[str]] = {}
    for one in kept:
        runs.setdefault(one.measured, []).append(one.row.race)
    said = [f"- {measured}: {'; '.join(races)}" for measured, races in sorted(runs.items(), reverse=True)]
    return "\n".join([text([one.row for one in kept]), "", "Measured:", "", *said])


def _short(kept: list[Kept]) -> str:
    rows = {one.row.race: one.row for one in kept}
    lines = ["| | beside | ratio |", "|---|---|---|"]
    for race, who in SHORT:
        if race in rows and who in rows[race].peers:
            lines.append(f"| {race} | {who} | {ratio(race, who, rows[race].peers[who])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    write()
