"""The dashboards as Grafana reads them, and its variables as it would fill them in."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))
}


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The panels of a dashboard that show something, without the headings of rows."""
    return [one for one in board["panels"] if one["type"] != "row"]


def targets() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every query, with the dashboard and the panel that it stands in."""
    for name, board in BOARDS.items():
        for panel in panels(board):
            for target in panel.get("targets", ()):
                yield f"{name}: {panel['title']} {target['refId']}", target


def filled(expr: str, values: Mapping[str, str]) -> str:
    """A query as it is sent. A variable without a value is an error."""
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda found: values[found[1]], expr)
