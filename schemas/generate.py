"""Writes what anyone outside Python needs: JSON Schemas, `topics.yaml`, `asyncapi.yaml` and the page on events.

`--check` reports drift, and writes nothing. Examples are read as they stand: write them first.

Usage: python -m schemas.generate [--check]
"""

import json
from pathlib import Path
from typing import Any

import yaml

from schemas import asyncapi, events_page
from schemas.envelope import Data, Event
from schemas.generated import settle
from schemas.registry import RegistryFile
from schemas.release import Release
from schemas.topics import ACKS, EVENTS, RELEASES, TOPICS
from schemas.values import iso8601

HERE = Path(__file__).resolve().parent
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def event_schema(data: type[Data]) -> dict[str, Any]:
    """The JSON Schema of an event: the whole envelope."""
    envelope: Any = Event[data]  # type: ignore[valid-type]
    found = envelope.model_json_schema(mode="validation")
    found["properties"]["type"] = {"const": data.type}
    about = (data.__doc__ or "").strip()
    if data not in (*RELEASES, *ACKS):
        found = _open(found)
    named = {"title": data.type, "description": about}
    return {"$schema": _DIALECT, "$id": f"urn:herald:{data.type}", **_plain(found), **named}


def _plain(schema: Any) -> Any:
    """The same without OpenAPI's `discriminator`: no word of JSON Schema, and another one of AsyncAPI's."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _plain(one) for name, one in schema.items() if name != "discriminator" or "mapping" not in one}


def _open(schema: Any) -> Any:
    """The same without the word on other fields: who reads what Herald writes must let fields be added later."""
    if isinstance(schema, list):
        return [_open(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = "properties" in schema and schema.get("additionalProperties") is False
    return {name: _open(one) for name, one in schema.items() if not (closed and name == "additionalProperties")}


def file_schema(model: Any, name: str) -> dict[str, Any]:
    """The JSON Schema of a file that people write, for their editors."""
    return {"$schema": _DIALECT, "$id": f"urn:herald:{name}", **model.model_json_schema(mode="validation")}


def topics() -> dict[str, Any]:
    """Every topic as `topics.yaml` states it."""
    return {
        topic.name: {
            "about": topic.about,
            "key": topic.key,
            "partitions": 1 if topic.single else "HERALD_PARTITIONS",
            "cleanup": topic.cleanup,
            "retention": iso8601(topic.retention) if topic.retention else "for ever",
            "max_bytes": topic.max_bytes,
            "writers": list(topic.writers),
            "readers": list(topic.readers),
            "events": [event.type for event in topic.events],
        }
        for topic in TOPICS
    }


def generated() -> dict[Path, str]:
    """Every generated file and its content."""
    schemas = {data.type: event_schema(data) for data in EVENTS}
    files = {HERE / "json" / f"{kind}.json": _json(schema) for kind, schema in schemas.items()}
    files[HERE / "json" / "release-file.json"] = _json(file_schema(Release, "release-file"))
    files[HERE / "json" / "registry-file.json"] = _json(file_schema(RegistryFile, "registry-file"))
    examples = {data.type: (HERE / "examples" / f"{data.type}.json").read_text() for data in EVENTS}
    described = "# Topics, events, and who sends and receives them. Generated from schemas: `make schemas`.\n"
    files[HERE / "asyncapi.yaml"] = described + _yaml(asyncapi.document(examples))
    files[HERE.parent / "docs" / "events.md"] = events_page.page(schemas, examples)
    head = "# Every topic of Herald, without the prefix `herald.`. Generated from schemas/topics.py: `make schemas`.\n"
    files[HERE / "topics.yaml"] = head + _yaml(topics())
    return files


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def there() -> list[Path]:
    """The JSON Schemas that there are, of this version or another."""
    return list((HERE / "json").glob("*.json"))


if __name__ == "__main__":
    settle(generated(), there())
