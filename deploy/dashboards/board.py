"""A dashboard: rows of panels, its variables, and the way to the others."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy.dashboards.panel import Panel
from schemas.topics import SERVICES

SCHEMA_VERSION = 41
"""Of Grafana 12's dashboards."""

PLACES = {"runbook": "deploy/runbook.md", "herald": "http://127.0.0.1:8080"}
"""Constants of each dashboard: where its readers find the runbook, as in the rules' `runbook_url`, and the door."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading; they flow from left to right."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard. Its variables are those that its queries and links name."""

    name: str
    title: str
    about: str
    rows: Sequence[Row]

    def json(self) -> dict[str, Any]:
        """As Grafana reads it."""
        panels = list(self._panels())
        named = set(re.findall(r"\$\{?([a-z]+)", str(panels)))
        return {
            "uid": f"herald-{self.name}",
            "title": f"Herald: {self.title}",
            "description": self.about,
            "tags": ["herald"],
            "editable": False,
            "graphTooltip": 1,
            "links": [
                {
                    "type": "dashboards",
                    "title": "Herald",
                    "tags": ["herald"],
                    "asDropdown": False,
                    "includeVars": False,
                    "keepTime": True,
                    "targetBlank": False,
                },
                {
                    "type": "link",
                    "title": "Operators' page",
                    "url": "${herald}/console",
                    "icon": "external link",
                    "targetBlank": True,
                },
            ],
            "panels": panels,
            "refresh": "30s",
            "schemaVersion": SCHEMA_VERSION,
            "templating": {"list": [one for one in VARIABLES if one["name"] in named | PLACES.keys()]},
            "time": {"from": "now-6h", "to": "now"},
            "timepicker": {},
            "timezone": "utc",
            "annotations": {"list": [FIRING]},
        }

    def _panels(self) -> Any:
        number, y = 1, 0
        for row in self.rows:
            yield {
                "id": number,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
            }
            number, y, x, height = number + 1, y + 1, 0, 0
            for panel in row.panels:
                if x + panel.width > 24:
                    y, x, height = y + height, 0, 0
                yield panel.json(number, x, y)
                number, x, height = number + 1, x + panel.width, max(height, panel.height)
            y += height


def _custom(name: str, label: str, values: dict[str, str], *, everything: bool) -> dict[str, Any]:
    """A variable with a fixed list of values, by their names; one of them, or any number."""
    options = [{"text": text, "value": value, "selected": False} for text, value in values.items()]
    if everything:
        options.insert(0, {"text": "All", "value": "$__all", "selected": False})
    options[0]["selected"] = True
    current = {key: [options[0][key]] if everything else options[0][key] for key in ("text", "value")}
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "hide": 0,
        "multi": everything,
        "includeAll": everything,
        "allValue": ".*" if everything else None,
        "query": ", ".join(f"{text} : {value}" for text, value in values.items()),
        "current": current,
        "options": options,
    }


VARIABLES: list[dict[str, Any]] = [
    _custom("exercise", "Show", {"real": "false", "drills": "true"}, everything=False),
    _custom("service", "Service", {name: name for name in (*SERVICES, "door")}, everything=True),
    {
        "type": "textbox",
        "name": "release",
        "label": "Release id, for the links",
        "hide": 0,
        "query": "",
        "current": {"text": "", "value": "", "selected": True},
        "options": [{"text": "", "value": "", "selected": True}],
    },
    *(
        {"type": "constant", "name": name, "label": name, "hide": 2, "query": place, "skipUrlSync": True}
        for name, place in PLACES.items()
    ),
]

FIRING: dict[str, Any] = {
    "name": "Alerts that page",
    "enable": True,
    "hide": False,
    "iconColor": "red",
    "datasource": {"type": "prometheus", "uid": "herald-prometheus"},
    "expr": 'ALERTS{alertname=~"Herald.*", alertstate="firing", severity="page"}',
    "titleFormat": "{{alertname}}",
    "textFormat": "{{service}} {{agency}}",
    "step": "60s",
}
