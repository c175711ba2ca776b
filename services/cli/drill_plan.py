"""What a drill is: an exercise whose window is open at once, closes by itself soon, and asks for an answer. Pure.

Of all that a lab can state this bothers least. An agency hears `opened`, which asks, and once the drill is over
`closed`, which asks nothing, ends all chasing, and may wait for the end of quiet hours. A withdrawal would ask anew,
and be chased.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas.alert import AlertIssued
from schemas.delivery import DeliveryRequested, delivery_id, tellable
from schemas.registry import Agency, Registry
from schemas.release import Audience, EarlyAccess, Model, Release
from schemas.tiers import first
from schemas.watchdog import AGENCY
from services.cli.endpoints import nearest
from services.kernel.settings import SettingsError

LONGEST = timedelta(days=1)
"""A drill is watched for so long at most: a warning that its window closes soon would come otherwise."""

_SPARE = timedelta(hours=1)
"""So long after the watching the window closes by itself. It opened as long ago: a wrong clock delays nothing."""

_REFERENCE = re.compile(r"drill-([0-9]{8}-[0-9]{6})-[0-9a-f]{4}")
_WORD = re.compile(r"the word of this drill is ([A-Z0-9]+)\.")
_TIME = "%Y%m%d-%H%M%S"


@dataclass(frozen=True, slots=True)
class Held:
    """A drill that was announced. `real_ms`: when Kafka took it, in milliseconds since 1970."""

    lab: str
    reference: str
    release_id: str
    agencies: tuple[str, ...]
    begun_at: datetime
    word: str | None
    real_ms: int = 0

    @property
    def name(self) -> str:
        """`<lab>/<reference>`."""
        return f"{self.lab}/{self.reference}"


def lab_of(registry: Registry) -> str:
    """The lab that announces drills. Raises SettingsError where there is none."""
    if registry.drills is None:
        raise SettingsError("the registry names no lab that announces drills: add `drills: {lab: …}`, and apply it")
    if registry.drills.lab not in registry.labs:
        raise SettingsError(f"drills.lab of the registry: {registry.drills.lab} is no lab any more; name another")
    return registry.drills.lab


def taking_part(registry: Registry, named: Collection[str]) -> tuple[str, ...]:
    """The agencies of a drill: those named, or all that take part in drills. Raises SettingsError."""
    willing = tuple(sorted(name for name, one in registry.agencies.items() if one.exercises and name != AGENCY))
    for name in named:
        if name not in registry.agencies:
            raise SettingsError(f"--agency {name}: there is no such agency{nearest(name, registry.agencies)}")
        if name not in willing:
            raise SettingsError(f"--agency {name} takes no part in drills: its entry does not say `exercises: true`")
    if not willing:
        raise SettingsError("no agency takes part in drills: none of the registry says `exercises: true`")
    return tuple(sorted(set(named))) or willing


def reference(now: datetime, drawn: str) -> str:
    """A drill's reference. It says when the drill began; `drawn`: four random hexadecimal digits."""
    return f"drill-{now.astimezone(UTC).strftime(_TIME)}-{drawn}"


def begun_at(reference: str) -> datetime | None:
    """When a drill began, to the second; None: it is no drill's reference."""
    found = _REFERENCE.fullmatch(reference)
    return datetime.strptime(found[1], _TIME).replace(tzinfo=UTC) if found else None


def word_in(handling: str | None) -> str | None:
    """The word of a drill, from what it says of its handling."""
    found = _WORD.search(handling or "")
    return found[1] if found else None


def stated(name: str, agencies: tuple[str, ...], word: str, now: datetime, wait: timedelta) -> Release:
    """What the lab states to begin a drill that is watched for so long."""
    said = f"A drill: nothing is to be released. Please answer this alert; the word of this drill is {word}."
    return Release(
        reference=name,
        model=Model(name="Drill"),
        trusted_partner_release_at=now + wait + _SPARE,
        early_access=EarlyAccess(opens=now - _SPARE),
        audience=Audience(mode="listed", agencies=agencies),
        handling=said,
        exercise=True,
    )


def ended(release: Release, seen: datetime | None) -> Release:
    """What the lab states to end it: the window closes as of what was seen of it last, past for every clock."""
    offered = release.early_access or EarlyAccess(opens=release.trusted_partner_release_at)
    closes_at = seen or offered.opens
    return release.model_copy(update={"early_access": offered.model_copy(update={"closes_at": closes_at})})


def is_due(last: datetime | None, every: timedelta, now: datetime) -> bool:
    """Whether it is time for another one."""
    return last is None or now - last >= every


def others(alert: AlertIssued, agency: Agency, now: datetime) -> list[DeliveryRequested]:
    """The same alert for those endpoints of the agency that the notifier does not ask: later tiers'."""
    turn = first(agency, alert, or_next=True)
    asked = turn[1] if turn is not None else ()
    return [
        DeliveryRequested(
            agency=alert.agency,
            endpoint=name,
            delivery_id=delivery_id(alert.alert_id, alert.agency, name),
            tier=endpoint.tier,
            alert=tellable(alert, endpoint),
            requested_at=now,
        )
        for name, endpoint in sorted(agency.endpoints.items())
        if name not in asked
    ]
