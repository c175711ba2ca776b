"""Rules, their tests, routes and the runbook agree with one another, with the catalogue, and with Debian's tools."""

import re
from typing import Any

import pytest
import yaml

from services.cli.targets import FILE
from services.kernel import catalogue
from services.kernel.settings import Settings
from tests.broker import test_alerting, test_alerting_proof, test_alerting_slow
from tests.repo.prometheus import RULES, amtool, needs_amtool, needs_promtool, promtool
from tests.repo.test_docs import ROOT, declared, exposed

TESTS = sorted((RULES / "tests").glob("*.yml"))
RUNBOOK = (ROOT / "deploy" / "runbook.md").read_text()


def read(name: str) -> Any:
    return yaml.safe_load((RULES / name).read_text())


def rules(name: str) -> list[dict[str, Any]]:
    """The rules of a file."""
    return [rule for group in read(name)["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}
RECORDED = {rule["record"] for rule in rules("recording.yml")}
EXPRESSIONS = "\n".join(rule["expr"] for name in ("alerts.yml", "recording.yml") for rule in rules(name))


def minutes_of_tests() -> list[tuple[str, bool]]:
    """Every alert that is tested, and whether it is to fire."""
    found = []
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            found += [(one["alertname"], bool(one.get("exp_alerts"))) for one in test["alert_rule_test"]]
    return found


def metrics_in(text: str) -> set[str]:
    """The metrics that a text names, without what Prometheus adds to a histogram's name."""
    names = set(re.findall(r"(?<![:\w])herald_\w+", text))
    histograms = {exposed(one) for one in declared() if next(iter(one.describe())).type == "histogram"}
    stripped = {name: re.sub(r"_(bucket|count|sum)$", "", name) for name in names}
    return {short if short in histograms else name for name, short in stripped.items()}


def test_rules_speak_of_metrics_that_there_are() -> None:
    known = {exposed(metric) for metric in declared()}
    assert metrics_in(EXPRESSIONS) <= known
    for path in TESTS:
        assert metrics_in(path.read_text()) <= known


def test_rules_speak_of_labels_and_values_that_there_are() -> None:
    labels = {exposed(metric): set(metric._labelnames) for metric in declared()}
    for name, chosen in re.findall(r"(herald_\w+?)(?:_bucket|_count)?\{([^}]*)\}", EXPRESSIONS):
        for label in re.findall(r"(\w+)=", chosen):
            assert label in labels.get(name, set()) | {"le", "service"} or name in RECORDED, (name, label)
    buckets = {f'le="{bound}"' for bound in (*catalogue.ALERT_LATENCY_SECONDS._kwargs["buckets"],)}
    assert 'le="60"' in buckets
    assert not re.search(r'le="\d+"', EXPRESSIONS), "a bound is shown with its point: 60.0"


def test_what_is_recorded_is_used_and_what_is_used_is_recorded() -> None:
    assert set(re.findall(r"\b\w+:herald_\w+(?::\w+)?|herald:\w+:\w+", EXPRESSIONS)) == RECORDED


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_has_a_severity_a_summary_and_an_entry_in_the_runbook(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"deploy/runbook.md#{name.lower()}"
    entry = re.search(rf"^### {name}\n(.*?)(?=^#|\Z)", RUNBOOK, re.DOTALL | re.MULTILINE)
    assert entry is not None
    said = re.findall(r"\*\*(Means|Look at|do|Do)\b", entry[1])
    assert [word.title() for word in said] == ["Means", "Look At", "Do"], said


def test_the_runbook_speaks_of_alerts_that_there_are() -> None:
    assert re.findall(r"^### (Herald\w+)$", RUNBOOK, re.MULTILINE) == list(ALERTS)
    assert set(re.findall(r"`(Herald\w+)`", RUNBOOK)) <= ALERTS.keys()
    assert {name.lower() for name in ALERTS} >= set(re.findall(r"\]\(#(\w+)\)", RUNBOOK))


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_is_tested_both_when_it_fires_and_when_it_stays_silent(name: str) -> None:
    assert {fires for alert, fires in minutes_of_tests() if alert == name} == {True, False}


LIVE = (test_alerting, test_alerting_proof, test_alerting_slow)
NOT_LIVE: dict[str, str] = {}
"""Alerts that are shown on written series alone, and why no fault on a real Herald can make them."""


def test_every_alert_is_made_to_fire_and_to_end_on_a_real_herald_or_it_is_said_why_not() -> None:
    tests = [one for module in LIVE for name, one in vars(module).items() if name.startswith("test_")]
    marks = [mark for test in tests for mark in getattr(test, "pytestmark", [])]
    shown = {alert for mark in marks if mark.name == "shows" for alert in mark.args}
    assert shown | NOT_LIVE.keys() == ALERTS.keys()
    assert not shown & NOT_LIVE.keys()


def test_tests_say_in_which_order_groups_are_evaluated() -> None:
    groups = [group["name"] for file in ("recording.yml", "alerts.yml") for group in read(file)["groups"]]
    for path in TESTS:
        assert yaml.safe_load(path.read_text())["group_eval_order"] == groups, path


@needs_promtool
def test_promtool_takes_configuration_and_rules() -> None:
    for arguments in (("rules", "recording.yml", "alerts.yml"), ("config", "prometheus.yml")):
        done = promtool("check", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_alert_fires_in_its_minutes_and_in_no_others(path: Any) -> None:
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_finds_what_herald_up_writes() -> None:
    (job,) = read("prometheus.yml")["scrape_configs"]
    (found,) = job["file_sd_configs"]
    (file,) = found["files"]
    assert (RULES / file).resolve() == (ROOT / Settings.model_fields["data"].default / FILE).resolve()
    assert job["job_name"] == "herald"


@needs_amtool
def test_amtool_takes_the_routes_and_severities_go_where_they_should() -> None:
    assert amtool("check-config", "alertmanager.yml").returncode == 0
    for severity in ("page", "ticket"):
        routed = amtool("config", "routes", "test", "--config.file=alertmanager.yml", f"severity={severity}")
        assert routed.stdout.strip() == severity


def test_inhibitions_speak_of_alerts_and_labels_that_there_are() -> None:
    labels = {"service", "agency", "certificate"}
    for one in read("alertmanager.yml")["inhibit_rules"]:
        text = " ".join([*one["source_matchers"], *one["target_matchers"]])
        assert set(re.findall(r"Herald\w+", text)) <= ALERTS.keys()
        assert set(one.get("equal", [])) <= labels
