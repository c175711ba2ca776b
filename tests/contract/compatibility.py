"""Tells whether a newer JSON Schema would break readers: of events written earlier, or those written for it earlier."""

from typing import Any


def breaking(earlier: dict[str, Any], later: dict[str, Any]) -> list[str]:
    """What breaks, one line each.

    An event that was valid stays readable for 400 days. And where Herald writes (fields may be added: the schema is
    open), a reader finds what was always there.
    """
    return sorted(set(_compare(earlier, later, earlier, later, "")))


def _compare(old: Any, new: Any, old_root: dict[str, Any], new_root: dict[str, Any], where: str) -> list[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    found = []
    for name in ("type", "const", "format", "pattern"):
        if name in new and old.get(name) != new[name]:
            found.append(f"{where or '/'}: {name} is {new[name]!r}, was {old.get(name)!r}")
    if "enum" in new and not set(old.get("enum", [object()])) <= set(new["enum"]):
        found.append(f"{where or '/'}: values were taken away")
    for name, tighter in (("maxLength", min), ("maxItems", min), ("minLength", max), ("minItems", max)):
        if name in new and (name not in old or tighter(old[name], new[name]) != old[name]):
            found.append(f"{where or '/'}: {name} is tighter")
    for name in set(new.get("required", [])) - set(old.get("required", [])):
        found.append(f"{where}/{name}: is required now")
    if new.get("additionalProperties") is not False:
        for name in set(old.get("required", [])) - set(new.get("required", [])):
            found.append(f"{where}/{name}: may be missing now")
    properties = new.get("properties", {})
    for name, schema in old.get("properties", {}).items():
        if name in properties:
            found += _compare(schema, properties[name], old_root, new_root, f"{where}/{name}")
        elif new.get("additionalProperties") is False:
            found.append(f"{where}/{name}: was taken away")
    if "items" in old and "items" in new:
        found += _compare(old["items"], new["items"], old_root, new_root, f"{where}/*")
    for old_choice, new_choice in zip(old.get("anyOf", []), new.get("anyOf", []), strict=False):
        found += _compare(old_choice, new_choice, old_root, new_root, where)
    if len(old.get("anyOf", [])) > len(new.get("anyOf", [])) > 0:
        found.append(f"{where or '/'}: a choice was taken away")
    return found


def _resolved(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(schema, dict):
        return {}
    found: dict[str, Any] = schema
    while "$ref" in found:
        found = root["$defs"][found["$ref"].rpartition("/")[2]]
    return found
