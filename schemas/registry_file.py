"""The registry as people write it: one YAML file, checked with line, field and remedy."""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from schemas.explain import explain
from schemas.notice import Refused
from schemas.publisher import Publisher
from schemas.registry import Registry, RegistryFile
from schemas.yaml_file import FileError, read, with_lines


def load(text: str, offboarded: frozenset[str] = frozenset()) -> RegistryFile:
    """The registry that a file states. `offboarded`: ids that are never used again. Raises FileError."""
    plain, lines = read(text)
    if not isinstance(plain, dict):
        raise FileError((Refused(code="invalid", message="must hold a registry: `labs:`, `agencies:`, …"),))
    try:
        registry = RegistryFile.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        raise FileError(with_lines(explain(error, RegistryFile), lines)) from None
    if problems := _check(registry, offboarded):
        raise FileError(with_lines(tuple(problems), lines))
    return registry


def _check(registry: RegistryFile, offboarded: frozenset[str]) -> list[Refused]:
    problems = []
    for name in sorted(registry.labs.keys() & registry.agencies.keys()):
        problems.append(_problem(f"agencies.{name}", "is a lab's id too; ids are unique across both"))
    for kind, names in (("labs", registry.labs), ("agencies", registry.agencies)):
        for name in sorted(names.keys() & offboarded):
            problems.append(_problem(f"{kind}.{name}", "was offboarded; an id is never used again: choose another"))
    problems += _publishers(registry)
    for name, agency in registry.agencies.items():
        where = f"agencies.{name}"
        try:
            ZoneInfo(agency.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            said = f"{agency.time_zone} is no time zone; write one such as America/New_York"
            problems.append(_problem(f"{where}.time_zone", said))
        if len(set(agency.tiers)) != len(agency.tiers):
            problems.append(_problem(f"{where}.tiers", "names a tier twice; each stands once, in order"))
        for field, wanted, known in (
            ("capabilities", agency.interests.capabilities, registry.capabilities),
            ("labs", agency.interests.labs, registry.labs),
        ):
            for one in wanted if wanted != "all" else ():
                if one not in known:
                    near = get_close_matches(one, sorted(known), n=1)
                    hint = f"did you mean {near[0]}?" if near else f"add it under {field}, or leave it out"
                    problems.append(_problem(f"{where}.interests.{field}", f"{one} is unknown; {hint}"))
    return problems


def _publishers(registry: RegistryFile) -> Iterator[Refused]:
    before: list[tuple[str, Publisher]] = []
    for lab, about in registry.labs.items():
        for number, publisher in enumerate(about.publishers):
            where = f"labs.{lab}.publishers.{number}"
            for field, said in publisher.faults():
                yield _problem(f"{where}.{field}", said)
            for other, earlier in before:
                if publisher.overlaps(earlier):
                    said = "stands twice" if other == lab else f"could be {other}'s as well: one repository, one lab"
                    yield _problem(where, f"{said}; let a claim differ, such as the repository's")
            before.append((lab, publisher))


def _problem(field: str, message: str) -> Refused:
    return Refused(code="invalid", field=field, message=message)


def differences(before: Registry, after: RegistryFile) -> list[str]:
    """What a file would change, one line each: `+` added, `-` removed, `~` changed."""
    lines = []
    for kind in ("labs", "agencies", "capabilities"):
        old, new = getattr(before, kind), getattr(after, kind)
        lines += [f"+ {kind}.{name}" for name in sorted(new.keys() - old.keys())]
        lines += [f"- {kind}.{name}" for name in sorted(old.keys() - new.keys())]
        for name in sorted(new.keys() & old.keys()):
            lines += _changed(f"{kind}.{name}", old[name], new[name])
    return lines + _changed("policy", before.policy, after.policy)


def _changed(where: str, old: object, new: object) -> list[str]:
    if old == new:
        return []
    if not hasattr(type(old), "model_fields"):
        return [f"~ {where}: {old} → {new}"]
    one, other = (json.loads(side.model_dump_json()) for side in (old, new))  # type: ignore[attr-defined]
    return [f"~ {where}.{name}: {one[name]} → {other[name]}" for name in one if one[name] != other[name]]
