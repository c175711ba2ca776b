"""`docs/events.md`: every event for people, from the same schemas as `asyncapi.yaml`."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from schemas.topics import EVENTS, TOPICS, Topic
from schemas.values import Uuid

_TEMPLATE = "events.md.jinja"
_UUID = next(one.pattern for one in Uuid.__metadata__ if hasattr(one, "pattern"))  # type: ignore[attr-defined]
_FORMATS = {"date-time": "instant", "duration": "duration"}
_PLAIN = {"string": "text", "integer": "number", "number": "number", "boolean": "true or false", "object": "object"}


def page(schemas: dict[str, dict[str, Any]], examples: dict[str, str]) -> str:
    """The page. `schemas` and `examples` by event type: its JSON Schema, and the text of one such event."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, of our own words
    )
    families: dict[str, list[dict[str, Any]]] = {}
    values: dict[str, dict[str, Any]] = {}
    for kind in (data.type for data in EVENTS):
        found, own = schemas[kind], schemas[kind]["properties"]["data"]["$ref"].rpartition("/")[2]
        values |= {name: value for name, value in found["$defs"].items() if name != own and "properties" in value}
        families.setdefault(kind.split(".")[1].capitalize(), []).append(
            {
                "type": kind,
                "about": found["description"],
                "topics": [_topic(topic) for topic in TOPICS if kind in (data.type for data in topic.events)],
                "fields": found["$defs"][own],
                "example": examples[kind].strip(),
            }
        )
    told = [{"name": n, "about": _line(v.get("description", "")), "fields": v} for n, v in sorted(values.items())]
    text = environment.get_template(_TEMPLATE).render(
        topics=[_topic(topic) for topic in TOPICS], families=families, values=told, fields=_table
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def _topic(topic: Topic) -> dict[str, Any]:
    name = re.sub(r"{([a-z]+)}", r"<\1>", topic.name)
    kept = f"{topic.retention.days} days" if topic.retention else "the last of each key"
    return {"name": name, "about": topic.about, "key": topic.key, "kept": kept} | {
        "writers": topic.writers,
        "readers": topic.readers,
    }


def _table(schema: dict[str, Any]) -> str:
    rows = [f"| {field} | {kind} | {about} |" for field, kind, about in _rows(schema)]
    return "\n".join(["| field | what | about |", "|---|---|---|", *rows]) + "\n"


def _rows(schema: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        about = [] if name in required else ["may be absent"]
        if said := one.get("description"):
            about.insert(0, _line(said))
        yield f"`{name}`", _kind(one), "; ".join(about)


def _kind(one: dict[str, Any]) -> str:
    """What may stand there, in a word or by its values."""
    if "$ref" in one:
        name = one["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in one or "const" in one:
        return " ".join(f"`{value}`" for value in one.get("enum", [one.get("const")]))
    if choices := one.get("anyOf", one.get("oneOf")):
        kinds = dict.fromkeys(_kind(each) for each in choices if each.get("type") != "null")
        return " or ".join(kinds)
    if one.get("type") == "array":
        return f"list of {_kind(one['items'])}" if "items" in one else _members(one.get("prefixItems", ()))
    if one.get("type") == "object" and isinstance(one.get("additionalProperties"), dict):
        return f"{_kind(one['additionalProperties'])} by name"
    if one.get("pattern") == _UUID:
        return "UUID"
    return _FORMATS.get(one.get("format", ""), _PLAIN.get(one.get("type", ""), "any"))


def _members(items: Iterable[dict[str, Any]]) -> str:
    return "list of " + ", ".join(_kind(each) for each in items)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
