"""Which endpoints an alert is for, tier by tier, and what each may be told: the design's text, once more."""

from datetime import datetime, timedelta

from schemas.alert import AlertIssued
from schemas.registry import Agency
from schemas.release import Release
from schemas.values import Tier
from schemas.window import Window
from services.audit.concern import takes

Turn = tuple[Tier, frozenset[str]]
A_DAY = timedelta(days=1)


def may_wait(alert: AlertIssued, before: Window | None, after: Window | None) -> bool:
    """Whether quiet hours may hold it: closing soon, closed, or dates that moved by less than a day, nothing else."""
    if alert.kind in {"closing-soon", "closed"}:
        return True
    if alert.kind != "rescheduled" or alert.chase is not None or before is None or after is None:
        return False
    if (before.life, before.status) != (after.life, after.status):
        return False
    return _dateless(before.statement) == _dateless(after.statement) and all(
        _near(*pair) for pair in zip(_dates(before), _dates(after), strict=True)
    )


def turns(agency: Agency, alert: AlertIssued, *, waits: bool) -> list[Turn]:
    """The tiers that may be asked, in order: the first with the alert, each other when nobody before it took it.

    Where the alert's own tier has no endpoint at all the next one is asked, unless it may wait. A tier whose endpoints
    do not want the kind has been heard: nobody else is told in its place.
    """
    own = alert.tier or agency.tiers[0]
    place = agency.tiers.index(own) if own in agency.tiers else -1
    wanting = [(tier, _wanting(agency, tier, alert)) for tier in agency.tiers]
    later = [turn for turn in wanting[place + 1 :] if turn[1]]
    mine = {name for name, endpoint in agency.endpoints.items() if endpoint.tier == own}
    if not mine:
        return [] if waits else later
    first = _wanting(agency, own, alert)
    if not first:
        return []
    return [(own, first)] if waits else [(own, first), *later]


def is_told_content(agency: Agency, endpoint: str, alert: AlertIssued) -> bool:
    """Mail and chat carry a pointer, a thin webhook too, and TLP:RED goes nowhere but to the topic."""
    declared = agency.endpoints[endpoint]
    return declared.channel == "webhook" and declared.content == "full" and alert.tlp != "TLP:RED"


def speaks_of(window: Window) -> datetime | None:
    """What a message that may wait must not come after."""
    if window.ended_at is not None:
        return None
    return window.opens_at if window.status == "scheduled" else window.closes_at


def _wanting(agency: Agency, tier: Tier, alert: AlertIssued) -> frozenset[str]:
    """A reminder or an escalation is never left out."""
    return frozenset(
        name
        for name, endpoint in agency.endpoints.items()
        if endpoint.tier == tier and (alert.chase is not None or takes(endpoint.kinds, alert.kind, alert.short_notice))
    )


def _dates(window: Window) -> list[datetime | None]:
    said = window.statement
    moved = [said.trusted_partner_release_at, said.public_release_at, said.embargo_until]
    return [window.opens_at, window.closes_at, *moved]


def _near(old: datetime | None, new: datetime | None) -> bool:
    if old is None or new is None:
        return old is None and new is None
    return abs(old - new) < A_DAY


def _dateless(release: Release) -> dict[str, object]:
    dates = {"trusted_partner_release_at", "public_release_at", "embargo_until", "stated_at", "early_access"}
    said = release.model_dump(exclude=dates)
    offer = release.early_access
    return said | {"access": offer.access.model_dump() if offer is not None and offer.access is not None else None}
