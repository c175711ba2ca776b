"""What `asyncapi.yaml` says of a topic, to hold records against."""

import json
import re
from functools import cache
from typing import Any

import jsonschema
import yaml

from schemas.generate import HERE

DOCUMENT = HERE / "asyncapi.yaml"


@cache
def document() -> dict[str, Any]:
    """The description as it stands."""
    found: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return found


def channel(topic: str) -> dict[str, Any]:
    """The channel of a topic, by its address; the name is without the prefix."""
    for one in document()["channels"].values():
        if re.fullmatch(re.sub(r"\\{[a-z]+\\}", "[a-z0-9-]+", re.escape(one["address"])), f"herald.{topic}"):
            found: dict[str, Any] = one
            return found
    raise AssertionError(f"no channel describes {topic}")


def differences(topic: str, event: dict[str, Any]) -> list[str]:
    """Where an event is not what is described of its topic."""
    named = channel(topic)["messages"].get(event["type"])
    if named is None:
        return [f"{event['type']} is not described on {topic}"]
    message = document()["components"]["messages"][named["$ref"].rpartition("/")[2]]
    return [f"{topic}: {error.json_path}: {error.message}" for error in _validator(message).iter_errors(event)]


def _validator(message: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return _read(message["payload"]["$ref"])


@cache
def _read(path: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((HERE / path).read_text()))
