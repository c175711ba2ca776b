"""A mistake in a rule of the services is seen by the audit, which has rules of its own."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation.audited import Written
from tests.simulation.world import World, at, pushed

Rule = Callable[..., Any]


def lived() -> Written:
    """Releases of two labs: exclusion, short notice, an exercise, silence, answers, news, endpoints that refuse."""
    world = World(pushed())
    world.fate = lambda request: (3, "refused") if request["tier"] == "watch" else (1, None)
    world.announce(audience={"mode": "matching", "exclude": ["all"]})
    world.until(1).announce(reference="m-2", audience={"mode": "listed", "agencies": ["all", "not"]}, tlp="TLP:RED")
    world.announce("other", capabilities=["biology"], trusted_partner_release_at=at(3))
    world.announce("other", reference="m-3", exercise=True)
    world.until(2).answer("cyber").answer("drills", "declined")
    world.until(9).announce(reference="m-2", handling="so", audience={"mode": "listed", "agencies": ["cyber"]})
    world.withdraw("other")
    world.until(29.9).announce(handling="at the last hour", audience={"mode": "matching", "exclude": ["all"]})
    return Written.of(world.until(70))


def without_exclude(rule: Rule) -> Rule:
    """Excluded agencies are told."""

    def wrong(release: Any, *more: Any) -> Any:
        audience = release.audience.model_copy(update={"exclude": ()})
        return rule(release.model_copy(update={"audience": audience}), *more)

    return wrong


def drills_for_all(rule: Rule) -> Rule:
    """Exercises reach who takes no part in drills."""
    return lambda release, *more: rule(release.model_copy(update={"exercise": False}), *more)


def notice_does_not_matter(rule: Rule) -> Rule:
    """An opening on short notice may be left out."""
    return lambda who, kind, short_notice: rule(who, kind, False)


def always_two_days(rule: Rule) -> Rule:
    """A near opening shortens nothing."""
    return lambda agency, policy, opens_at, issued_at: rule(agency, policy, None, issued_at)


def last_tier_is_forgotten(rule: Rule) -> Rule:
    """Only the first tier is chased."""
    return lambda *given: rule(*given)[:1]


def full_to_all(rule: Rule) -> Rule:
    """Thin endpoints, and those told of what is TLP:RED, get it whole."""
    return lambda alert, endpoint: alert


def nobody_is_next(rule: Rule) -> Rule:
    """No tier follows another."""
    return lambda *given: None


def chased_for_ever(rule: Rule) -> Rule:
    """A window's end ends no chase."""
    return lambda state, window, closed, withdrawn, now: rule(state, window, False, False, now)


def nothing(rule: Rule) -> Rule:
    """Who is addressed no more is not told so; nothing is repeated."""
    return lambda *given: []


def lab_is_not_told(rule: Rule) -> Rule:
    """The lab is told nothing."""
    return lambda *given: rule(*given)[:1]


BUGS: tuple[tuple[str, str, Callable[[Rule], Rule]], ...] = (
    ("services.notifier.decide", "addressed", without_exclude),
    ("services.notifier.decide", "addressed", drills_for_all),
    ("services.notifier.decide", "wants", notice_does_not_matter),
    ("services.notifier.telling", "answer_ladder", always_two_days),
    ("services.notifier.telling", "answer_ladder", last_tier_is_forgotten),
    ("services.notifier.endpoints", "tellable", full_to_all),
    ("services.notifier.endpoints", "after", nobody_is_next),
    ("services.notifier.decide", "_drop", nothing),
    ("services.notifier.decide", "_repeat", nothing),
    ("services.notifier.decide", "told_of", lab_is_not_told),
    ("services.acknowledgements.decide", "_follow", chased_for_ever),
)


def test_without_a_mistake_nothing_differs() -> None:
    assert lived().differences() == []


@pytest.mark.parametrize(("module", "name", "bug"), BUGS, ids=lambda value: getattr(value, "__name__", value))
def test_a_mistake_is_seen(
    module: str, name: str, bug: Callable[[Rule], Rule], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = importlib.import_module(module)
    monkeypatch.setattr(room, name, bug(getattr(room, name)))
    assert lived().differences() != []
