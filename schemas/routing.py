"""Whom a release concerns, and by when each tier is to answer. Pure: the notifier and `registry route` agree on it."""

from datetime import datetime, timedelta
from functools import lru_cache

from schemas.alert import Answer, Why
from schemas.endpoint import Chat, Email, Webhook
from schemas.registry import Agency, Registry
from schemas.release import Release
from schemas.values import AlertKind, Tier
from schemas.window import WindowPolicy

ALWAYS: frozenset[AlertKind] = frozenset({"rescheduled", "withdrawn", "no-longer-addressed"})
"""Kinds that no agency, and no endpoint, can leave out."""


def addressed(release: Release, lab: str, registry: Registry) -> dict[str, Why]:
    """The agencies that the release addresses, each with the reason, in the order of their ids."""
    found: dict[str, Why] = {}
    for name, agency in sorted(registry.agencies.items()):
        if name in release.audience.exclude or (release.exercise and not agency.exercises):
            continue
        if release.audience.mode == "listed":
            if name in release.audience.agencies:
                found[name] = "listed"
        elif _matches(agency, release, lab):
            found[name] = "matching"
    return found


def wants(who: Agency | Webhook | Email | Chat, kind: AlertKind, short_notice: bool) -> bool:
    """Whether an addressed agency, or an endpoint, hears of this kind. An opening on short notice is never left out."""
    if kind in ALWAYS or (short_notice and kind in {"scheduled", "opened"}):
        return True
    return kind in who.kinds


def answer_ladder(
    agency: Agency, policy: WindowPolicy, opens_at: datetime | None, issued_at: datetime
) -> tuple[Answer, ...]:
    """When each tier is told, must have answered, and is passed over. Near an opening the steps are shorter."""
    soon = opens_at is not None and opens_at - issued_at <= policy.soon
    return _ladder(agency.tiers, policy.answer_within_soon if soon else policy.answer_within, issued_at)


@lru_cache(64)  # most agencies that are told of a change have the same one
def _ladder(tiers: tuple[Tier, ...], step: timedelta, told: datetime) -> tuple[Answer, ...]:
    answers = []
    for tier in tiers:
        answers.append(Answer(tier=tier, told_at=told, due_at=told + step, passed_at=told + 2 * step))
        told += 2 * step
    return tuple(answers)


def _matches(agency: Agency, release: Release, lab: str) -> bool:
    interests = agency.interests
    if interests.labs != "all" and lab not in interests.labs:
        return False
    return interests.capabilities == "all" or not set(release.capabilities).isdisjoint(interests.capabilities)
