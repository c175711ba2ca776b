"""`herald registry manifests`: what a registry asks of Kafka, as resources that Strimzi's operators carry out."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from schemas import registry_file
from schemas.access import Grant, plan
from schemas.registry import Registry
from schemas.topics import TOPICS
from schemas.watchdog import enrolled
from services.cli import session
from services.kernel.provision import names
from services.kernel.settings import Settings, SettingsError, load

API = "kafka.strimzi.io/v1"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
"""A name of Kubernetes: a DNS subdomain of RFC 1123."""
_RESOURCES = {"topic": "topic", "group": "group", "transactional-id": "transactionalId", "cluster": "cluster"}
_MATCHES = {"literal": "literal", "prefixed": "prefix"}


def manifests(
    file: Annotated[Path, typer.Argument(help="The registry, YAML.")],
    gone: Annotated[
        list[str] | None, typer.Option("--gone", help="Who was offboarded: services keep those topics.")
    ] = None,
    cluster: Annotated[str, typer.Option(help="The name of the Kafka resource.")] = "herald",
    as_json: session.Json = False,
) -> None:
    """Print a registry as Kubernetes resources: the file itself, and each KafkaTopic and KafkaUser that it asks for.

    The users are those of the access plan, each the first of its owner (`cisa.1`, `service.windows.1`); Strimzi makes
    their passwords. Topics of state are left out: `herald registry apply` makes them, and marks them as new.

    Example: herald registry manifests deploy/registry.yaml
    """
    text, settings = file.read_text(encoding="utf-8"), load()
    stated = registry_file.load(text, frozenset(gone or ()))
    # When somebody was offboarded is Kafka's to know; that it was is all that the plan asks.
    registry = Registry(
        **dict(enrolled(stated)), offboarded=dict.fromkeys(gone or (), datetime(2000, 1, 1, tzinfo=UTC))
    )
    made = [*topics(registry, settings, cluster), *users(registry, settings.kafka.topic_prefix, cluster)]
    for name in [one["metadata"]["name"] for one in made]:
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{file}: {name} is no name in Kubernetes: let no id end with a hyphen")
    for one in [_kept(text), *made]:
        print(json.dumps(one) if as_json else f"---\n{_yaml(one)}")


def topics(registry: Registry, settings: Settings, cluster: str) -> Iterator[dict[str, Any]]:
    """Every topic but those of state. How often each is kept is the cluster's default."""
    for topic in TOPICS:
        if "{service}" in topic.name:
            continue  # one that Kubernetes made anew would be empty without being new: services could not tell
        for name in names(topic, registry):
            partitions = 1 if topic.single else settings.partitions
            spec = {"partitions": partitions, "config": topic.config()}
            yield _resource("KafkaTopic", settings.kafka.topic_prefix + name, cluster, spec)


def users(registry: Registry, prefix: str, cluster: str) -> Iterator[dict[str, Any]]:
    """A user of every owner in the access plan, with what it may do."""
    for owner, grants in plan(registry, prefix).items():
        spec = {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": [_acl(grant) for grant in grants]},
        }
        yield _resource("KafkaUser", f"{owner}.1", cluster, spec)


def _resource(kind: str, name: str, cluster: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"strimzi.io/cluster": cluster}}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}


def _acl(grant: Grant) -> dict[str, Any]:
    resource = {"type": _RESOURCES[grant.resource]}
    if grant.resource != "cluster":  # which has no name of its own
        resource |= {"name": grant.name, "patternType": _MATCHES[grant.match]}
    return {"resource": resource, "operations": [operation.capitalize() for operation in grant.operations]}


def _kept(text: str) -> dict[str, Any]:
    metadata = {"name": "herald-registry"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"registry.yaml": text}}


def _yaml(resource: dict[str, Any]) -> str:
    layout: dict[str, Any] = {"sort_keys": False, "width": 120, "allow_unicode": True, "default_flow_style": None}
    return str(yaml.dump(resource, Dumper=_Dumper, **layout)).rstrip()


class _Dumper(yaml.SafeDumper):
    """Writes text of many lines as it stands in its file."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
