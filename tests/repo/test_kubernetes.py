"""deploy/kubernetes: every overlay is what the cluster's API takes, and agrees with the code and within itself."""

import copy
import re
from pathlib import Path

import kubernetes_validate
import pytest
from jsonschema import ValidationError

from schemas import registry_file
from schemas.access import granted, plan
from schemas.registry import Registry
from schemas.topics import SERVICES, TOPICS
from schemas.watchdog import enrolled
from services.cli.run import ServiceName
from services.embedded.supervisor import STOP_SECONDS
from services.kernel.provision import names
from services.kernel.settings import Settings
from tests.repo import compose, dockerfile, rendered, strimzi
from tests.repo.dockerfile import ROOT
from tests.repo.rendered import (
    OURS,
    OVERLAYS,
    Resource,
    acls,
    container,
    each_overlay,
    labels,
    loaded,
    of_kind,
    pods,
    ports,
    with_kubectl,
)
from tests.repo.test_docs import commands, settings

pytestmark = with_kubectl
OLDEST = "1.30"  # the first in which a container may sleep before it ends
README = (rendered.FOLDER / "README.md").read_text()
REGISTRY = Registry(**dict(enrolled(registry_file.load((ROOT / "deploy" / "registry.yaml").read_text()))))


def checked(resource: Resource, version: str) -> None:
    """Raises where the API would refuse a resource, or drop a field of it."""
    if resource["apiVersion"].startswith("kafka.strimzi.io/"):
        strimzi.validate(resource)
    elif resource["kind"] != "ServiceMonitor":  # of the Prometheus operator, which no package knows
        kubernetes_validate.validate(resource, version, strict=True)


@each_overlay
def test_the_api_takes_every_resource_and_knows_every_field(overlay: str) -> None:
    for resource in rendered.resources(overlay):
        checked(resource, kubernetes_validate.latest_version())


def test_the_oldest_api_that_the_page_names_takes_each_kind() -> None:
    assert f"Kubernetes {OLDEST} or later" in README
    for resource in {each["kind"]: each for each in rendered.resources("production")}.values():
        checked(resource, OLDEST)


def test_a_misspelt_field_would_be_seen_in_every_kind_that_is_checked() -> None:
    kinds = {each["kind"]: each for each in rendered.resources("production") if each["kind"] != "ServiceMonitor"}
    for resource in kinds.values():
        wrong = copy.deepcopy(resource)
        wrong.setdefault("spec", wrong)["replicsa"] = 1
        with pytest.raises(ValidationError, match="replicsa"):
            checked(wrong, OLDEST)


@each_overlay
def test_everything_is_in_one_namespace_whose_pods_are_restricted(overlay: str) -> None:
    (namespace,) = of_kind(overlay, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    (kafka,) = of_kind(overlay, "Kafka").values()
    templates = kafka["spec"]["kafka"]["template"] | kafka["spec"]["entityOperator"]["template"]
    for name, each in templates.items():
        about = each["securityContext"]
        assert (about["allowPrivilegeEscalation"], about["runAsNonRoot"]) == (False, True), name
        assert (about["capabilities"], about["seccompProfile"]["type"]) == ({"drop": ["ALL"]}, "RuntimeDefault"), name
    for each in rendered.resources(overlay):
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"] == namespace["metadata"]["name"]


@each_overlay
def test_every_service_has_a_deployment_that_selects_its_own_pods_and_a_budget(overlay: str) -> None:
    deployments = of_kind(overlay, "Deployment")
    assert set(deployments) == set(of_kind(overlay, "PodDisruptionBudget")) == OURS
    for name, each in deployments.items():
        own = {"app.kubernetes.io/name": "herald", "app.kubernetes.io/component": name}
        assert labels(each["spec"]["template"]) == each["spec"]["selector"]["matchLabels"] == own
        budget = of_kind(overlay, "PodDisruptionBudget")[name]["spec"]
        assert (budget["selector"]["matchLabels"], budget["maxUnavailable"]) == (own, 1)


@each_overlay
def test_each_runs_the_image_that_compose_builds_with_a_command_that_exists(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        assert container(pod)["image"] == compose.IMAGE
        if name in {*SERVICES, "watchdog"}:
            assert container(pod)["args"] == ["run", ServiceName(name).value]
        elif name == "door":
            assert container(pod)["command"] == compose.ALL["door"]["entrypoint"]
        else:
            assert container(pod)["args"] == compose.ALL["provision"]["command"]


@each_overlay
def test_settings_exist_can_be_loaded_and_their_files_are_mounted(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        said = rendered.environment(overlay, pod)
        assert {each for each in said if each.startswith("HERALD_")} <= settings()
        found = loaded(overlay, name)
        assert found.kafka.security_protocol == "SASL_SSL"
        mounts = [each["mountPath"] for each in container(pod)["volumeMounts"]]
        links = set() if name in {"door", "deliveries"} else {"HERALD_DOOR__LINK_KEY_FILE"}
        for setting in {each for each in said if each.endswith("FILE")} - links:
            assert str(Path(said[setting]).parent) in mounts, f"{name}: {setting}"
        volumes = {each["name"] for each in pod["spec"]["volumes"]}
        assert {each["name"] for each in container(pod)["volumeMounts"]} <= volumes


@each_overlay
def test_nothing_runs_as_root_writes_to_its_root_or_has_rights_in_the_cluster(overlay: str) -> None:
    for pod in pods(overlay).values():
        spec, confined = pod["spec"], container(pod)["securityContext"]
        (user,) = [each.text for each in dockerfile.stages()[-1] if each.name == "USER"]
        about = spec["securityContext"]
        assert about["runAsNonRoot"]
        assert f"{about['runAsUser']}:{about['runAsGroup']}" == user
        assert about["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (confined["readOnlyRootFilesystem"], confined["allowPrivilegeEscalation"]) == (True, False)
        assert confined["capabilities"] == {"drop": ["ALL"]}
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        assert {"cpu", "memory"} <= set(container(pod)["resources"]["requests"])


@each_overlay
def test_probes_ask_where_the_service_answers(overlay: str) -> None:
    for name in OURS:
        one = container(pods(overlay)[name])
        assert ports(pods(overlay)[name])["health"] == loaded(overlay, name).http_port
        asked = {probe: one[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
        assert {each["port"] for each in asked.values()} == {"health"}
        paths = {probe: each["path"] for probe, each in asked.items()}
        assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}


@each_overlay
def test_one_is_replaced_after_another_and_has_the_time_that_it_takes_to_end(overlay: str) -> None:
    for name, each in of_kind(overlay, "Deployment").items():
        assert each["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        before = container(each["spec"]["template"]).get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
        grace = each["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace >= STOP_SECONDS + before["sleep"]["seconds"], name


@each_overlay
def test_users_and_topics_are_the_plan(overlay: str) -> None:
    planned, prefix = plan(REGISTRY), Settings().kafka.topic_prefix
    users = of_kind(overlay, "KafkaUser")
    assert set(users) == {f"{owner}.1" for owner in planned}
    for owner, grants in planned.items():
        assert acls(users[f"{owner}.1"]) == granted(f"{owner}.1", grants)
    topics = of_kind(overlay, "KafkaTopic")
    wanted = {
        prefix + name: topic for topic in TOPICS if "{service}" not in topic.name for name in names(topic, REGISTRY)
    }
    assert set(topics) == set(wanted)
    for name, topic in wanted.items():
        assert topics[name]["spec"]["config"] == topic.config()
        assert topics[name]["spec"]["partitions"] == (1 if topic.single else loaded(overlay, "windows").partitions)


@each_overlay
def test_each_pod_is_a_user_of_its_own_whose_password_it_has(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        user = loaded(overlay, name).kafka.sasl_username
        assert user == f"service.{'operator' if name == 'herald-provision' else name}.1"
        assert user in of_kind(overlay, "KafkaUser")
        (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "kafka-user"]
        assert volume["secret"]["secretName"] == user


@each_overlay
def test_what_is_mounted_is_here_or_strimzis_or_named_for_people_to_make(overlay: str) -> None:
    (kafka,) = of_kind(overlay, "Kafka")
    strimzis = {*of_kind(overlay, "KafkaUser"), f"{kafka}-cluster-ca-cert"}
    for name in {*rendered.references(overlay, "secret")} - strimzis:
        assert f"secret generic {name}" in README, name
    assert set(rendered.references(overlay, "configMap")) <= set(of_kind(overlay, "ConfigMap"))


def test_the_page_names_overlays_files_and_commands_that_exist() -> None:
    for overlay in OVERLAYS:
        assert f"overlays/{overlay}" in README
    known = {name.removeprefix("herald ") for name in commands()}
    groups = {name.split()[0] for name in known if " " in name}
    for first, second in re.findall(r"(?:`|^)herald ([a-z-]+) ?([a-z-]+)?", README, re.MULTILINE):
        assert (f"{first} {second}" if first in groups and second else first) in known | groups, (
            f"herald {first} {second}"
        )
    for path in re.findall(r"deploy/kubernetes/[a-z./]+[a-z]", README):
        assert (ROOT / path).exists(), path
