"""Panels as Grafana's JSON has them: a number, a course over time, a heat map, a table, a text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.dashboards.query import DATASOURCE, STEP, Query

Steps = tuple[tuple[str, float], ...]
"""From which value on a panel is `orange` or `red`; below the first it is green."""

AT_ALL: Steps = (("red", 0.001),)
"""Anything above zero wants a look."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel. `about` is shown under its `i`; `runbook` names the alerts whose entries it links.

    `unit` is Grafana's name of it; `zero`: the word for zero, where that is no number.
    """

    kind: str
    title: str
    about: str
    queries: Sequence[Query] = ()
    unit: str = "short"
    width: int = 8
    height: int = 7
    steps: Steps = ()
    runbook: Sequence[str] = ()
    zero: str | None = None
    custom: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """At its place in the grid of 24 columns."""
        found: dict[str, Any] = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "options": self.options,
        }
        if not self.queries:
            return found
        mappings = [{"type": "value", "options": {"0": {"text": self.zero, "index": 0}}}] if self.zero else []
        steps = [{"color": "green", "value": None}, *({"color": c, "value": at} for c, at in self.steps)]
        links = [
            {"title": f"Runbook: {alert}", "url": f"${{runbook}}#{alert.lower()}", "targetBlank": True}
            for alert in self.runbook
        ]
        defaults = {
            "unit": self.unit,
            "color": {"mode": "thresholds" if self.kind == "stat" else "palette-classic"},
            "mappings": mappings,
            "thresholds": {"mode": "absolute", "steps": steps},
            "custom": self.custom,
            "noValue": "" if self.kind == "table" else "nothing from Prometheus",  # there, each cell
        }
        return {
            **found,
            "datasource": DATASOURCE,
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "links": links,
            "targets": [query.json(index) for index, query in enumerate(self.queries)],
            **self.more,
        }


def stat(title: str, about: str, query: Query, **more: Any) -> Panel:
    """One number, coloured by its thresholds; a short course below it."""
    options = {
        "colorMode": "value",
        "graphMode": "none" if query.now else "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    }
    return Panel("stat", title, about, [query], **{"width": 4, "height": 4, **more, "options": options})


def course(title: str, about: str, *queries: Query, stacked: bool = False, **more: Any) -> Panel:
    """Lines over time, or stacked bars; thresholds are drawn where there are some."""
    custom = {
        "drawStyle": "bars" if stacked else "line",
        "fillOpacity": 60 if stacked else 8,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if more.get("steps") else "off"},
        "axisSoftMin": 0,
    }
    options = {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, about, queries, custom=custom, options=options, **more)


def heat(title: str, about: str, metric: str, chosen: str = "", **more: Any) -> Panel:
    """How a duration is spread over time, with traces."""
    nothing = 'label_replace(vector(0), "le", "+Inf", "", "")'
    expr = f"sum by (le) (increase({metric}_bucket{chosen}{STEP}))\nor on () {nothing}"
    query = Query(expr, "{{le}}", exemplars=True, format="heatmap")
    unit = more.pop("unit", "s")
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "reverse": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    return Panel("heatmap", title, about, [query], options=options, unit=unit, **more)


def table(title: str, about: str, query: Query, **more: Any) -> Panel:
    """The labels of each series, and its value now."""
    now = Query(query.expr, query.legend, now=True, format="table")
    organize = {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"Value": query.legend}}}
    options = {"cellHeight": "sm", "showHeader": True, "sortBy": [{"displayName": query.legend, "desc": False}]}
    return Panel("table", title, about, [now], options=options, more={"transformations": [organize]}, **more)


def text(title: str, content: str, *, width: int = 24, height: int = 4) -> Panel:
    """Markdown."""
    return Panel("text", title, "", width=width, height=height, options={"mode": "markdown", "content": content})
