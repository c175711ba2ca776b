"""A query of a panel, and what it says of things that have not happened.

Counters of few codes begin at zero in the process (`catalogue.shown_by`). Of what is by id or by one of many codes
there is no series until there is one: then the query says zero, under the name "none" (`or_none`), so that an empty
panel always means that Prometheus has nothing from Herald; and it counts the first of its kind too (`grown`).
"""

from dataclasses import dataclass
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "herald-prometheus"}
STEP = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL. `legend` has labels in braces; `exemplars`: show traces; `now`: one value, not its course."""

    expr: str
    legend: str
    exemplars: bool = False
    now: bool = False
    format: str = "time_series"

    def json(self, number: int) -> dict[str, Any]:
        """As a panel's target."""
        return {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "exemplar": self.exemplars,
            "expr": self.expr,
            "format": self.format,
            "instant": self.now,
            "legendFormat": self.legend,
            "range": not self.now,
            "refId": chr(ord("A") + number),
        }


def or_none(expr: str, *labels: str) -> str:
    """A zero, named "none", where there is no series at all."""
    zero = "vector(0)"
    for label in labels:
        zero = f'label_replace({zero}, "{label}", "none", "", "")'
    return f"{expr}\nor on () {zero}"


def grown(metric: str, chosen: str = "") -> str:
    """By how much counters have grown in a step, also those that began within it: `increase` takes what they began with
    for old. It is old where Prometheus did not know the process before.
    """
    before, counted = f"offset {STEP.strip('[]')}", f"{metric}{chosen}"
    old = f"(increase({counted}{STEP}) and {counted} {before})"
    new = f'(({counted} unless {counted} {before}) and on (instance) up{{job="herald"}} {before})'
    return f"({old} or {new})"


def in_range(metric: str, chosen: str = "") -> Query:
    """The same, summed over all that is shown."""
    each = or_none(f"sum({grown(metric, chosen)})")
    return Query(f"sum_over_time(({each})[$__range:$__rate_interval])", "in all", now=True)


def quantiles(metric: str, by: str = "", chosen: str = "", *, since_start: bool = False) -> list[Query]:
    """The median and the slowest of a hundred, with traces; `since_start`: of all that the processes have counted."""
    labels = f"le, {by}" if by else "le"
    name = f"{{{{{by}}}}} " if by else ""
    counted = f"{metric}_bucket{chosen}"
    inner = f"sum by ({labels}) ({counted if since_start else f'rate({counted}{STEP})'})"
    return [
        Query(f"histogram_quantile({share}, {inner})", f"{name}{word}", exemplars=True)
        for share, word in ((0.5, "p50"), (0.99, "p99"))
    ]
