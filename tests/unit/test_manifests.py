"""A registry as Kubernetes resources: the cases that a sound registry of people does not meet."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import command_line

REGISTRY = "labs: {aurora-labs: {name: Aurora}}\nagencies: {cisa: {name: CISA}}\n"


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A registry's file."""
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    return tmp_path / "registry.yaml"


def asked(registry: Path, *options: str) -> Result:
    return CliRunner().invoke(command_line(), ["registry", "manifests", str(registry), *options])


def made(registry: Path, *options: str) -> dict[str, Any]:
    done = asked(registry, "--json", *options)
    assert done.exit_code == 0, done.output
    return {each["metadata"]["name"]: each for each in map(json.loads, done.stdout.splitlines())}


def test_services_keep_the_topics_of_who_is_gone_and_who_is_gone_has_no_user(registry: Path) -> None:
    before, after = made(registry), made(registry, "--gone", "treasury")
    assert set(before) == set(after)
    granted = [acl["resource"]["name"] for acl in after["service.notifier.1"]["spec"]["authorization"]["acls"]]
    assert "herald.alerts.treasury" in granted
    assert "herald.alerts.treasury" not in json.dumps(before)


def test_who_is_gone_comes_back_under_no_registry(registry: Path) -> None:
    done = asked(registry, "--gone", "cisa")
    assert done.exit_code
    assert "cisa" in str(done.exception)


def test_a_name_that_kubernetes_does_not_take_is_refused_before_anything_is_printed(registry: Path) -> None:
    registry.write_text(REGISTRY.replace("cisa", "cisa-"))
    done = asked(registry)
    assert done.exit_code
    assert done.stdout == ""
    assert "cisa- is no name in Kubernetes: let no id end with a hyphen" in str(done.exception)


def test_the_cluster_and_the_prefix_are_those_that_are_asked_for(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERALD_KAFKA__TOPIC_PREFIX", "news.")
    monkeypatch.setenv("HERALD_PARTITIONS", "12")
    found = made(registry, "--cluster", "agencies")
    assert found["news.windows"]["metadata"]["labels"] == {"strimzi.io/cluster": "agencies"}
    assert (found["news.windows"]["spec"]["partitions"], found["news.audit"]["spec"]["partitions"]) == (12, 1)


def test_the_registrys_file_is_carried_as_it_stands(registry: Path) -> None:
    assert made(registry)["herald-registry"]["data"] == {"registry.yaml": REGISTRY}


def test_what_is_kept_for_kubernetes_is_of_the_registry_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_PARTITIONS", "6")
    deploy = Path(__file__).resolve().parents[2] / "deploy"
    kept = (deploy / "kubernetes" / "registry" / "resources.yaml").read_text()
    assert asked(deploy / "registry.yaml").stdout == kept, "make schemas writes it anew"
