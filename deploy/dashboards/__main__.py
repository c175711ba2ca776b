"""Writes the dashboards that Grafana reads. `--check` reports drift, and writes nothing.

Usage: python -m deploy.dashboards [--check]
"""

import json
from pathlib import Path

from deploy.dashboards import deliveries, kafka, overview, releases
from schemas.generated import settle

FOLDER = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"
BOARDS = (overview.BOARD, releases.BOARD, deliveries.BOARD, kafka.BOARD)


def generated() -> dict[Path, str]:
    """Every dashboard and its content."""
    return {FOLDER / f"{one.name}.json": json.dumps(one.json(), indent=1, ensure_ascii=False) + "\n" for one in BOARDS}


def there() -> list[Path]:
    """The dashboards that there are, of this version or another."""
    return list(FOLDER.glob("*.json"))


if __name__ == "__main__":
    settle(generated(), there())
