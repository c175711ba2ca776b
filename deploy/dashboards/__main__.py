"""Writes the dashboards that Grafana reads. `--check` reports drift, and writes nothing.

Usage: python -m deploy.dashboards [--check]
"""

import json
import sys
from pathlib import Path

from deploy.dashboards import deliveries, kafka, overview, releases

FOLDER = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"
BOARDS = (overview.BOARD, releases.BOARD, deliveries.BOARD, kafka.BOARD)


def generated() -> dict[Path, str]:
    """Every dashboard and its content."""
    return {FOLDER / f"{one.name}.json": json.dumps(one.json(), indent=1, ensure_ascii=False) + "\n" for one in BOARDS}


def drift() -> list[str]:
    """The files that are missing, differ, or are not generated any more."""
    files = generated()
    found = [str(path) for path, text in files.items() if not path.exists() or path.read_text() != text]
    return found + [str(path) for path in sorted(FOLDER.glob("*.json")) if path not in files]


def main() -> None:
    """Writes, or with `--check` compares."""
    if "--check" in sys.argv[1:]:
        different = drift()
        if different:
            sys.exit("generated files differ, run `make schemas`:\n  " + "\n  ".join(different))
        return
    FOLDER.mkdir(exist_ok=True)
    for path, text in generated().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
