"""What one version of the registry changes in another, one line each."""

from typing import Any

from schemas.registry import RegistryFile

_PARTS = ("labs", "agencies", "capabilities", "policy", "drills", "mail")


def differences(before: RegistryFile, after: RegistryFile) -> list[str]:
    """What a file would change, one line each: `+` added, `-` removed, `~` changed.

    Who is added or removed is named alone, and each of its endpoints.
    """
    old, new = (side.model_dump(mode="json", exclude_none=True) for side in (before, after))
    there, wanted = set(before.allow_networks), set(after.allow_networks)
    return [
        *[line for part in _PARTS for line in _changed(part, old.get(part), new.get(part))],
        *[f"+ allow_networks: {network}" for network in sorted(wanted - there)],
        *[f"- allow_networks: {network}" for network in sorted(there - wanted)],
    ]


def _changed(where: str, old: Any, new: Any) -> list[str]:
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        lines = [line for name in sorted(new.keys() - old.keys()) for line in _whole("+", f"{where}.{name}", new[name])]
        lines += [
            line for name in sorted(old.keys() - new.keys()) for line in _whole("-", f"{where}.{name}", old[name])
        ]
        both = sorted(old.keys() & new.keys())
        return lines + [line for name in both for line in _changed(f"{where}.{name}", old[name], new[name])]
    if old is None or new is None:
        return _whole("+" if old is None else "-", where, old if new is None else new)
    return [f"~ {where}: {_shown(old)} → {_shown(new)}"]


def _whole(sign: str, where: str, value: Any) -> list[str]:
    """One that is only on one side."""
    path = where.split(".")
    endpoints = value.get("endpoints", {}) if isinstance(value, dict) else {}
    inner = [line for name in sorted(endpoints) for line in _whole(sign, f"{where}.endpoints.{name}", endpoints[name])]
    if path[-2:-1] == ["endpoints"] and isinstance(value, dict):
        return [f"{sign} {where}: {value['channel']} for {value['tier']}"]
    if len(path) == 2 and path[0] in {"labs", "agencies", "capabilities"}:
        return [f"{sign} {where}", *inner]
    return [f"{sign} {where}: {said}" if (said := _shown(value)) else f"{sign} {where}"]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
