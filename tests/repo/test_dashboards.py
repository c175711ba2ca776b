"""Dashboards agree with what generates and provisions them, with the catalogue, and with Grafana's schema."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.dashboards.__main__ import generated, there
from deploy.dashboards.query import grown
from schemas.generated import drift
from schemas.topics import EVENTS, SERVICES
from services.kernel import catalogue
from tests.repo.grafana import BOARDS, FOLDER, filled, panels, targets
from tests.repo.prometheus import needs_promtool, promtool
from tests.repo.test_docs import declared, exposed
from tests.repo.test_prometheus import ALERTS, EXPRESSIONS, RECORDED, metrics_in

QUERIES = "\n".join(target["expr"] for _, target in targets())
BUILT_IN = {"__rate_interval", "__range"}
UNITS = {"short", "s", "cps", "percentunit", "dateTimeAsIso"}
"""Names of Grafana's value formats."""

UNSHOWN = {
    "heraldalertslatesteadily",
    "heraldalertslatepersistently",
    "heraldheartbeatmissing",
    "heraldwatchdogfailing",
    "heraldwatchdogslow",
    "heraldauditdifferences",
    "heraldauditnotrun",
}
"""The other speeds of one allowance, which one panel shows; and what nothing sets yet."""

KINDS = {"stat", "timeseries", "heatmap", "table", "text", "row"}

every_board = pytest.mark.parametrize("name", sorted(BOARDS))


def test_dashboards_are_as_they_are_generated() -> None:
    assert drift(generated(), there()) == []
    assert {path.stem for path in generated()} == BOARDS.keys()


def test_queries_name_metrics_that_there_are() -> None:
    assert metrics_in(QUERIES) <= {exposed(metric) for metric in declared()}
    assert set(re.findall(r"\b(?:\w+:herald_\w+(?::\w+)?|herald:\w+:\w+)", QUERIES)) <= RECORDED


def test_every_metric_of_the_catalogue_is_in_a_panel_or_an_alert() -> None:
    assert {exposed(metric) for metric in declared()} <= metrics_in(QUERIES + EXPRESSIONS)


def test_queries_choose_by_labels_and_codes_that_there_are() -> None:
    labels = {exposed(metric): set(metric._labelnames) for metric in declared()}
    chosen = re.findall(r"(?<![:\w])(herald_\w+?)(?:_bucket|_count|_sum)?\{([^}]*)\}", QUERIES)
    assert len(chosen) > 20
    for metric, selectors in chosen:
        assert set(re.findall(r"(\w+)[=!]", selectors)) <= labels[metric] | {"service"}, metric
        for value in re.findall(r'service(?:=|!=)"(\w+)"', selectors):
            assert value in SERVICES
    types = {data.type for data in EVENTS}
    for pattern in re.findall(r'type=~"([^"]+)"', QUERIES):
        assert any(re.fullmatch(pattern, one) for one in types), pattern


@needs_promtool
def test_the_first_of_its_kind_is_counted_once_and_what_a_new_prometheus_finds_is_not(tmp_path: Path) -> None:
    """Samples each 15 s. `herald_b` begins with 2 at 5m, and comes to 3 at 10m; the process is known from 1m on."""
    samples = [
        {"series": 'up{job="herald", instance="x"}', "values": "_x4 1x60"},
        {"series": 'herald_a_total{instance="x"}', "values": "_x4 7x60"},
        {"series": 'herald_b_total{instance="x"}', "values": "_x20 2x19 3x20"},
    ]
    said = {
        "a": {"1m": "", "1m30s": "", "2m": "0", "3m": "0"},
        "b": {"4m45s": "", "5m": "2", "5m45s": "2", "6m": "0", "8m": "0", "12m": "0"},
    }
    asked = [
        {
            "expr": f"round({filled(grown(f'herald_{name}_total'), {'__rate_interval': '1m'})})",
            "eval_time": at,
            "exp_samples": [{"labels": '{instance="x"}', "value": float(value)}] if value else [],
        }
        for name, expected in said.items()
        for at, value in expected.items()
    ]
    test = {"interval": "15s", "input_series": samples, "promql_expr_test": asked}
    path = tmp_path / "grown.yml"
    path.write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_drills_count_into_is_never_added_to_what_is_real() -> None:
    apart = {exposed(metric) for metric in declared() if "exercise" in metric._labelnames}
    for where, target in targets():
        for found in re.finditer(
            r"(?<![:\w])(herald_\w+?)(?:_bucket|_count|_sum)?(\{[^}]*\})?(?=[\[\s),])", target["expr"]
        ):
            if found[1] in apart:
                assert "exercise=" in (found[2] or ""), where


@every_board
def test_what_shows_drills_on_demand_says_so_in_its_title(name: str) -> None:
    for panel in panels(BOARDS[name]):
        depends = "$exercise" in str(panel.get("targets"))
        assert depends == ("${exercise:text}" in panel["title"]), panel["title"]


@every_board
def test_a_dashboard_has_what_grafana_asks_for(name: str) -> None:
    board = BOARDS[name]
    assert board["schemaVersion"] == 41
    assert board["uid"] == f"herald-{name}"
    assert len(board["uid"]) <= 40
    assert {board["timezone"], board["refresh"]} == {"utc", "30s"}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert {panel["type"] for panel in board["panels"]} <= KINDS
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)


@every_board
def test_panels_lie_in_the_grid_and_not_on_each_other(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        assert at["x"] >= 0
        assert at["x"] + at["w"] <= 24
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, (panel["title"], taken[cell])
            taken[cell] = panel["title"]


@every_board
def test_every_panel_explains_itself(name: str) -> None:
    for panel in panels(BOARDS[name]):
        if panel["type"] == "text":
            assert panel["options"]["mode"] == "markdown"
            continue
        assert panel["description"].endswith("."), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS
        steps = defaults["thresholds"]["steps"]
        assert steps[0] == {"color": "green", "value": None}
        assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        for target in panel["targets"]:
            assert target["legendFormat"]
            assert target["instant"] is not target["range"]


@every_board
def test_a_legend_names_labels_that_its_query_keeps(name: str) -> None:
    for panel in panels(BOARDS[name]):
        for target in panel.get("targets", ()):
            kept = {label for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in by.split(", ")}
            recorded = {one.partition(":")[0] for one in RECORDED if one in target["expr"]}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept | recorded, panel["title"]


@every_board
def test_links_lead_to_entries_of_the_runbook_and_to_the_operators_page(name: str) -> None:
    entries = {alert.lower() for alert in ALERTS}
    for panel in panels(BOARDS[name]):
        for link in panel.get("links", ()):
            place, _, anchor = link["url"].partition("#")
            assert place == "${runbook}"
            assert anchor in entries
    assert "${herald}/console" in [link.get("url") for link in BOARDS[name]["links"]]


def test_every_alert_is_linked_from_a_panel_that_shows_what_it_is_about() -> None:
    links = [link for board in BOARDS.values() for panel in panels(board) for link in panel.get("links", ())]
    assert {name.lower() for name in ALERTS} - {link["url"].partition("#")[2] for link in links} == UNSHOWN


@every_board
def test_variables_are_those_that_are_used_and_have_bounded_values(name: str) -> None:
    board = BOARDS[name]
    variables = {one["name"]: one for one in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", str([board["panels"], board["links"]]))) - BUILT_IN
    assert used | {"runbook", "herald"} == variables.keys()
    in_queries = set(re.findall(r"\$\{?(\w+)", str([panel.get("targets") for panel in board["panels"]]))) - BUILT_IN
    assert all(variables[one]["type"] == "custom" for one in in_queries)
    for one in variables.values():
        if one["type"] == "custom":
            values = [option["value"] for option in one["options"]]
            assert one["current"]["value"] in ([["$__all"]] if one["multi"] else values)
    if "exercise" in variables:
        assert variables["exercise"]["current"]["value"] == "false"
        assert {one["value"] for one in variables["exercise"]["options"]} == set(catalogue.BOOLEANS)


def test_dashboards_ask_the_prometheus_that_is_provisioned() -> None:
    (source,) = read("datasources/prometheus.yml")["datasources"]
    assert (source["type"], source["url"], source["editable"]) == ("prometheus", "$PROMETHEUS_URL", False)
    asked = {"type": "prometheus", "uid": source["uid"]}
    for _, target in targets():
        assert target["datasource"] == asked
    for board in BOARDS.values():
        assert all(panel["datasource"] == asked for panel in panels(board) if panel["type"] != "text")
        assert all(one["datasource"] == asked for one in board["annotations"]["list"])


def test_grafana_is_told_where_the_dashboards_are() -> None:
    (provider,) = read("dashboards/herald.yml")["providers"]
    assert provider["type"] == "file"
    assert provider["options"] == {"path": "/etc/herald/grafana/dashboards"}
    assert not provider["allowUiUpdates"]


def read(path: str) -> Any:
    """A file that Grafana is provisioned with."""
    return yaml.safe_load((FOLDER / "provisioning" / path).read_text())
