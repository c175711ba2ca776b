"""The docs are tested: what they name exists, and what exists is named."""

import re
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.metrics import MetricWrapperBase
from typer.main import get_command

from schemas.notice import Refusal, Warning_
from schemas.release_file import load
from schemas.topics import EVENTS
from schemas.values import AlertKind
from services.cli.main import command_line
from services.kernel import catalogue
from services.kernel.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "deploy" / "runbook.md"),
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXT = {path.name: path.read_text() for path in DOCS}
EVERYTHING = "\n".join(TEXT.values())
OPERATORS = TEXT["for-operators.md"]


def settings() -> set[str]:
    found = set()
    for name, field in Settings.model_fields.items():
        nested = getattr(field.annotation, "model_fields", None)
        found |= {f"HERALD_{name}__{inner}".upper() for inner in nested} if nested else {f"HERALD_{name}".upper()}
    return found


def declared() -> list[MetricWrapperBase]:
    """The metrics of the catalogue, in its order."""
    return [one for one in vars(catalogue).values() if isinstance(one, MetricWrapperBase)]


def exposed(metric: MetricWrapperBase) -> str:
    """The name that Prometheus sees."""
    family = next(iter(metric.describe()))
    return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")


def row_of(metric: MetricWrapperBase) -> str:
    """Its row in the operators' table."""
    family = next(iter(metric.describe()))
    labels = ", ".join(f"`{name}`" for name in metric._labelnames)
    return f"| `{exposed(metric)}` | {family.type} | {labels} | {family.documentation} |"


def commands() -> dict[str, object]:
    found: dict[str, object] = {}
    waiting = [("herald", get_command(command_line()))]
    while waiting:
        name, command = waiting.pop()
        inner = getattr(command, "commands", None)
        if inner is None:
            found[name] = command
        else:
            waiting += [(f"{name} {sub}", one) for sub, one in inner.items()]
    return found


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    named = set(re.findall(r"`(HERALD_[A-Z_]+)`", OPERATORS))
    assert named - {"HERALD_LAB", "HERALD_AGENCY"} == settings()


def test_the_table_of_metrics_is_the_catalogue() -> None:
    rows = re.findall(r"^\| (`herald_[a-z_]+`) \| ([a-z]+) \| (.*?) \| (.*?) \|$", OPERATORS, re.MULTILINE)
    assert ["| " + " | ".join(row) + " |" for row in rows] == [row_of(metric) for metric in declared()]


def test_docs_name_no_metric_that_is_not_in_the_catalogue() -> None:
    known = {exposed(metric) for metric in declared()}
    assert set(re.findall(r"`(herald_[a-z_]+)`", EVERYTHING)) == known


def test_every_declared_metric_is_shown_by_a_process_and_named_by_the_rules_of_prometheus() -> None:
    shown = {id(metric) for metrics in catalogue.SHOWN.values() for metric in metrics}
    assert {id(metric) for metric in declared()} == shown
    for metric in declared():
        family = next(iter(metric.describe()))
        assert family.documentation.endswith(".")
        assert not family.unit or family.name.endswith("_" + family.unit)
        assert not re.search(r"_(ms|minutes|hours|days|kilo|mega)\b", family.name)
        assert not {"lab", "agency"} <= set(metric._labelnames)
        bounded = {"lab", "agency", "participant", "shard", "exercise", "kind", "cause", "reason", "outcome", "channel"}
        bounded |= {"topic", "type", "error", "certificate", "status", "state", "step", "disposition", "late", "waits"}
        assert set(metric._labelnames) <= bounded


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    known = commands()
    named = set(re.findall(r"\bherald ([a-z-]+(?: [a-z-]+)?)", EVERYTHING))
    groups = {name.rpartition(" ")[0] for name in known} - {"herald"}
    for name in known:
        assert name.removeprefix("herald ") in {*named, *(n.split()[0] for n in named)}, name
    code = "\n".join(re.findall(r"```sh\n(.*?)```", EVERYTHING, re.DOTALL))
    for line in re.findall(r"^herald (.*)$", code, re.MULTILINE):
        words = line.split()
        found = f"herald {words[0]} {words[1]}" if f"herald {words[0]}" in groups else f"herald {words[0]}"
        assert found in known, line


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_help_with_an_example_and_json(name: str) -> None:
    command = commands()[name]
    assert f"Example: {name}" in re.sub(r"HERALD_\S+ ", "", str(command.help)), name  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}  # type: ignore[attr-defined]
    assert "--json" in options or name == "herald run"


def test_every_event_that_the_docs_name_exists() -> None:
    known = {data.type for data in EVENTS}
    assert set(re.findall(r"herald\.[a-z-]+\.[a-z-]+\.v1", EVERYTHING)) <= known


def test_every_refusal_and_warning_is_explained() -> None:
    people = TEXT["for-labs.md"] + TEXT["for-agencies.md"]
    for code in (*get_args(Refusal), *get_args(Warning_)):
        assert f"`{code}`" in people, code


def test_every_kind_of_alert_is_explained() -> None:
    assert all(f"| `{kind}` |" in TEXT["for-agencies.md"] for kind in get_args(AlertKind))


def test_the_release_file_in_the_docs_is_one() -> None:
    text = re.search(r"```yaml\n(.*?)```", TEXT["for-labs.md"], re.DOTALL)
    assert text is not None
    assert load(text[1]).reference == "halo-4"


def test_every_make_target_that_the_docs_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", EVERYTHING, re.MULTILINE)) <= targets


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_between_the_docs_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target
