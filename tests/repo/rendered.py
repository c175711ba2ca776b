"""What the overlays of deploy/kubernetes come to."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from schemas.access import CLUSTER, Acl
from schemas.topics import SERVICES
from services.kernel.settings import Settings, load
from tests.repo import dockerfile
from tests.repo.dockerfile import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
KUBECTL = shutil.which("kubectl")
OURS = {*SERVICES, "door", "watchdog"}
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
with_kubectl = pytest.mark.skipif(KUBECTL is None, reason="no kubectl here")
Resource = dict[str, Any]


@cache
def resources(overlay: str) -> tuple[Resource, ...]:
    """All of an overlay, as kubectl renders it."""
    command = [str(KUBECTL), "kustomize", str(FOLDER / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return tuple(yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def of_kind(overlay: str, *kinds: str) -> dict[str, Resource]:
    """Those of some kinds, by name."""
    return {each["metadata"]["name"]: each for each in resources(overlay) if each["kind"] in kinds}


def pods(overlay: str) -> dict[str, Resource]:
    """The template of every pod of Herald's, by what makes them."""
    return {name: each["spec"]["template"] for name, each in of_kind(overlay, "Deployment", "Job").items()}


def container(pod: Resource) -> Resource:
    """The only container of a pod."""
    (found,) = pod["spec"]["containers"]
    one: Resource = found
    return one


def environment(overlay: str, pod: Resource) -> dict[str, str]:
    """What its container is started with, beside the image's."""
    found: dict[str, str] = {}
    for each in container(pod)["envFrom"]:
        found |= of_kind(overlay, "ConfigMap")[each["configMapRef"]["name"]]["data"]
    return found | {each["name"]: each["value"] for each in container(pod)["env"]}


def references(overlay: str, kind: str) -> Iterator[str]:
    """The names of secrets (`secret`) or files of settings (`configMap`) that pods mount."""
    for pod in pods(overlay).values():
        for volume in pod["spec"]["volumes"]:
            if source := volume.get(kind):
                yield source.get("secretName", source.get("name"))


def selected(labels: dict[str, str], selector: dict[str, str]) -> bool:
    """Whether a selector takes these labels."""
    return selector.items() <= labels.items()


def acls(user: Resource) -> set[Acl]:
    """What a KafkaUser may do, as the plan says it."""
    name, resources = user["metadata"]["name"], {"transactionalId": "transactional-id"}
    found = set()
    for each in user["spec"]["authorization"]["acls"]:
        about = each["resource"]
        match = {"literal": "literal", "prefix": "prefixed"}[about.get("patternType", "literal")]
        kind = resources.get(about["type"], about["type"])
        found |= {Acl(name, kind, about.get("name", CLUSTER), match, one.lower()) for one in each["operations"]}
    return found


def loaded(overlay: str, name: str) -> Settings:
    """The settings that a pod comes to."""
    with pytest.MonkeyPatch.context() as patch:
        for setting, value in (dockerfile.environment() | environment(overlay, pods(overlay)[name])).items():
            patch.setenv(setting, value)
        return load()


def labels(pod: Resource) -> dict[str, str]:
    """Those of a pod."""
    found: dict[str, str] = pod["metadata"]["labels"]
    return found


def ports(pod: Resource) -> dict[str, int]:
    """The named ports of a pod."""
    return {each["name"]: each["containerPort"] for each in container(pod).get("ports", ())}
