"""The alerts that should follow from a window's events and the registry's versions, release by release.

A shard takes its inputs by their append times, as far as it has been given them: which version of the registry came
before which event of a window is known to `Bounds.apart_ms` only. Another order than that of the times is taken where
more of what was issued follows from it, never to excuse that nothing was.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from schemas.alert import AlertIssued
from schemas.envelope import derived_id
from schemas.registry import Registry
from schemas.values import AlertKind, Tlp
from schemas.window import Window
from services.audit.concern import as_it_stands, concerned, takes
from services.audit.due import TOLD_AS, Due, keys
from services.audit.record import Bounds, Seen
from services.audit.story import Story, Versions


@dataclass(frozen=True, slots=True)
class _Agency:
    """What an agency has been told in a life of the release."""

    addressed: bool = False
    told: bool = False
    tlp: Tlp = "TLP:AMBER+STRICT"


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a release has come: the registry's version, the window, and who knows what of it."""

    version: int
    window: Window | None = None
    agencies: dict[str, _Agency] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Way:
    """One order in which things may have come, what was due in it until then, and how often it is not that of time."""

    dues: tuple[Due, ...]
    place: _Place
    strange: int = 0


def expected(story: Story, versions: Versions, bounds: Bounds) -> list[Due]:
    """All alerts but repetitions that should have been issued until now."""
    alerts = [one.data for one in story.alerts if one.data.repeats is None]
    ways, until_now = [_Way((), _Place(-1))], set[int]()
    for seen in story.windows:
        evidence = [number for number, alert in enumerate(alerts) if _speaks_of(alert, seen)]
        until_now |= set(evidence)
        following: dict[int, list[_Way]] = defaultdict(list)
        for way in ways:
            said = [alerts[number] for number in evidence]
            for version, is_strange in _possible(seen, way.place.version, said, versions, bounds):
                dues, place = _until(way.place, version, versions, story.release_id)
                more, place = _changed(place, seen, versions.of(version))
                following[version].append(_Way((*way.dues, *dues, *more), place, way.strange + is_strange))
        ways = [_nearest(same, [alerts[number] for number in until_now]) for same in following.values()]
    ends = [_until(way.place, len(versions) - 1, versions, story.release_id) for way in ways]
    whole = [_Way((*way.dues, *dues), place, way.strange) for way, (dues, place) in zip(ways, ends, strict=True)]
    return list(_nearest(whole, alerts).dues)


def _nearest(ways: list[_Way], alerts: list[AlertIssued]) -> _Way:
    """The order from which most of what was issued follows, then the most usual, then that in which least lacks."""
    if len(ways) == 1:
        return ways[0]
    issued = [keys(alert) for alert in alerts]
    known = {key for each in issued for key in each}

    def differs(way: _Way) -> tuple[int, int, int]:
        due = {each.key for each in way.dues}
        unexplained = sum(due.isdisjoint(each) for each in issued)
        return unexplained, way.strange, sum(each.key not in known for each in way.dues)

    return min(ways, key=differs)


def _speaks_of(alert: AlertIssued, seen: Seen) -> bool:
    """Whether an alert says that it follows from an event of the window."""
    window = seen.data.window
    if (alert.happened_at, alert.life, alert.revision) != (seen.data.happened_at, window.life, window.revision):
        return False
    return alert.kind in {TOLD_AS[type(seen.data)], "no-longer-addressed", as_it_stands(window.status)}


def _possible(
    seen: Seen, version: int, said: Iterable[AlertIssued], versions: Versions, bounds: Bounds
) -> list[tuple[int, bool]]:
    """The versions that may have been in force, and whether that would not be the order of time."""
    first, last = versions.until(seen.ms - 1), versions.until(seen.ms)  # at one instant either is usual
    earliest, latest = versions.until(seen.ms - bounds.apart_ms - 1), versions.until(seen.ms + bounds.apart_ms)
    found: dict[int, bool] = {}
    for number in range(earliest, latest + 1):
        found[max(version, number)] = found.get(max(version, number), True) and not first <= number <= last
    for alert in said:  # after an outage the versions are there before the windows' events are
        named = versions.numbered(alert.registry_version)
        if named is None or named <= max(version, latest):
            continue
        if versions.seen[named].at <= alert.issued_at + bounds.apart:
            found[named] = True
    return sorted(found.items(), key=lambda pair: (pair[1], -pair[0]))


def _until(place: _Place, version: int, versions: Versions, release_id: str) -> tuple[list[Due], _Place]:
    """Every version up to one, each on the window as it stands: who is addressed anew, or no more, hears it once."""
    found: list[Due] = []
    for number in range(place.version + 1, version + 1):
        registry, window = versions.of(number), place.window
        place = replace(place, version=number)
        if window is None or window.status not in {"scheduled", "open"}:
            continue
        cause_id = derived_id("registry", str(registry.version), release_id)
        now_concerned, agencies = concerned(window, registry), dict(place.agencies)
        for name in sorted({*agencies, *now_concerned}):
            knows, kind = agencies.get(name, _Agency()), as_it_stands(window.status)
            due = Due(name, "withdrawn", "was-addressed", window, registry, versions.seen[number], cause_id, knows.tlp)
            if name not in now_concerned:
                if knows.addressed and knows.told:
                    found.append(replace(due, kind="no-longer-addressed"))
                agencies[name] = replace(knows, addressed=False)
                continue
            if not knows.addressed and kind and takes(registry.agencies[name].kinds, kind, window.short_notice):
                found.append(replace(due, kind=kind, why=now_concerned[name]))
                knows = replace(knows, told=True, tlp=window.statement.tlp)
            agencies[name] = replace(knows, addressed=True)
        place = replace(place, agencies=agencies)
    return found, place


def _changed(place: _Place, seen: Seen, registry: Registry) -> tuple[list[Due], _Place]:
    """An event of the window: those addressed hear of it, those no more hear that, newcomers how it stands."""
    event, window, before = seen.data, seen.data.window, place.window
    kind, is_new_life = TOLD_AS[type(event)], before is None or before.life != window.life
    agencies: dict[str, _Agency] = dict.fromkeys(place.agencies, _Agency()) if is_new_life else dict(place.agencies)
    now_concerned = concerned(window, registry)
    found = []
    for name in sorted({*agencies, *now_concerned}):
        knows = agencies.get(name, _Agency())
        due = Due(
            name,
            kind,
            now_concerned.get(name, "was-addressed"),
            window,
            registry,
            seen,
            derived_id("windows", seen.event.id),
            knows.tlp,
            before,
            tuple(event.changed),
            event.due_at,
            event.happened_at,
        )
        if name not in now_concerned:
            if knows.addressed and knows.told:
                found.append(replace(due, kind="no-longer-addressed"))
            agencies[name] = replace(knows, addressed=False)
            continue
        heard = _heard(kind, due, knows, is_new_life)
        if heard is not None and takes(registry.agencies[name].kinds, heard, window.short_notice):
            found.append(replace(due, kind=heard))
            knows = replace(knows, told=True, tlp=window.statement.tlp)
        agencies[name] = replace(knows, addressed=True)
    return found, _Place(place.version, window, agencies)


def _heard(kind: AlertKind, due: Due, knows: _Agency, is_new_life: bool) -> AlertKind | None:
    """What one who is addressed hears of a change."""
    if kind == "withdrawn" and not knows.told and due.before is not None and due.before.opens_at is None:
        return None  # what was never offered is taken back from those alone who had asked to hear of it
    if knows.addressed or is_new_life:
        only_audience = set(due.changed) == {"audience"} and kind in {"rescheduled", "announced"}
        return None if only_audience else kind
    return as_it_stands(due.window.status) or ("announced" if kind == "announced" else None)
