"""The registry as people write it: one YAML file, checked with line, field and remedy."""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from schemas.endpoint_check import faults
from schemas.explain import explain
from schemas.notice import Refused
from schemas.publisher import Publisher
from schemas.registry import RegistryFile
from schemas.watchdog import RESERVED, enrolled
from schemas.yaml_file import FileError, read, with_lines

_OFTENEST = timedelta(days=1)


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


def located(text: str, problems: Iterable[tuple[str, str]]) -> FileError:
    """What was found in a file beyond its own words (field, what is wrong), with the lines of the fields."""
    return FileError(with_lines(tuple(_problem(*one) for one in problems), read(text)[1]))


def _check(registry: RegistryFile, offboarded: frozenset[str]) -> list[Refused]:
    problems = [*_reserved(registry)]
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
    problems += _drills(registry)
    return problems + [_problem(field, said) for field, said in faults(registry)]


def _reserved(registry: RegistryFile) -> Iterator[Refused]:
    """A file may hold what `registry show` shows of the watchdog, and nothing else under its ids."""
    own = enrolled(RegistryFile())
    for kind, written, ours in (("labs", registry.labs, own.labs), ("agencies", registry.agencies, own.agencies)):
        for name in sorted(written.keys() & RESERVED):
            if written[name] != ours.get(name):
                yield _problem(
                    f"{kind}.{name}", "is Herald's own, and added by itself: leave it out, or choose another id"
                )


def _drills(registry: RegistryFile) -> Iterator[Refused]:
    drills = registry.drills
    if drills is None:
        return
    if drills.lab not in registry.labs:
        near = get_close_matches(drills.lab, sorted(registry.labs), n=1)
        hint = f"did you mean {near[0]}?" if near else "add it under labs: best one of its own, for drills alone"
        yield _problem("drills.lab", f"{drills.lab} is no lab; {hint}")
    if drills.every is not None and drills.every < _OFTENEST:
        yield _problem("drills.every", "is less than a day; write P1D or more, such as P28D")


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
