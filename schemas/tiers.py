"""Which of an agency's endpoints are told an alert, tier by tier. Pure: the notifier and `herald drill` agree on it."""

from schemas.alert import AlertIssued
from schemas.registry import Agency
from schemas.routing import wants
from schemas.values import Tier

Turn = tuple[Tier, tuple[str, ...]]
"""A tier, and those of its endpoints that are told."""


def first(agency: Agency, alert: AlertIssued, *, or_next: bool) -> Turn | None:
    """The tier that an alert is for. `or_next`: where it has no endpoint at all, the next one that has.

    A tier whose endpoints do not want the kind has been heard: nobody else is told in its place.
    """
    tier = alert.tier or agency.tiers[0]
    if or_next and not _of(agency, tier):
        return after(agency, tier, alert, ())
    found = _wanting(agency, tier, alert)
    return (tier, found) if found else None


def after(agency: Agency, tier: Tier, alert: AlertIssued, asked: tuple[str, ...]) -> Turn | None:
    """The next tier that has somebody who was not asked. After a tier that is no more, all are looked through."""
    later = agency.tiers[agency.tiers.index(tier) + 1 :] if tier in agency.tiers else agency.tiers
    for each in later:
        if found := tuple(endpoint for endpoint in _wanting(agency, each, alert) if endpoint not in asked):
            return each, found
    return None


def _wanting(agency: Agency, tier: Tier, alert: AlertIssued) -> tuple[str, ...]:
    """Those that take the kind; a reminder or an escalation is never left out."""
    found = agency.endpoints
    return tuple(e for e in _of(agency, tier) if alert.chase or wants(found[e], alert.kind, alert.short_notice))


def _of(agency: Agency, tier: Tier) -> list[str]:
    return sorted(endpoint for endpoint, declared in agency.endpoints.items() if declared.tier == tier)
