"""The audit finds nothing in what the services wrote over hundreds of random lives, and each planted difference."""

import random
from datetime import timedelta
from functools import cache

import pytest

from services.audit.difference import KINDS
from tests.scale import scaled
from tests.simulation.audited import Written
from tests.simulation.planted import PLANTS
from tests.simulation.world import World

LIVES, SHARES = scaled(300, 1000), 4
PLANTED_IN, TIMES = 80, 4


@pytest.mark.parametrize("share", range(SHARES))
def test_nothing_differs_over_hundreds_of_random_lives(share: int) -> None:
    for seed in range(share, LIVES, SHARES):
        found = Written.by(seed).differences()
        assert not found, f"seed {seed}: {[one.line for one in found]}"


@pytest.mark.parametrize("name", PLANTS)
def test_each_planted_difference_is_found(name: str) -> None:
    planted = 0
    for seed in range(PLANTED_IN):
        written = _written(seed).copy()
        looked_for = PLANTS[name](written, random.Random(seed))
        if looked_for is None:
            continue
        found = {(one.kind, one.alert_id) for one in written.differences()}
        assert looked_for in found, f"seed {seed}: {looked_for} is not among {found}"
        planted += 1
        if planted == TIMES:
            return
    raise AssertionError(f"planted {planted} times only")


def test_more_than_ten_kinds_are_planted() -> None:
    looked_for = [plant(_written(seed).copy(), random.Random(seed)) for plant in PLANTS.values() for seed in range(12)]
    assert len({found[0] for found in looked_for if found is not None} & set(KINDS)) > 10


def test_that_the_registry_has_just_changed_excuses_no_missing_alert() -> None:
    world = World()
    world.until(world.now + timedelta(seconds=5)).announce()
    written = Written.of(world.until(1))
    assert written.differences(apart_ms=30_000) == []
    written.drop(lambda name, event: name.startswith("alerts") or "disclosure" in event["type"])
    found = written.differences(apart_ms=30_000)
    assert [(one.kind, one.agency) for one in found] == [("alert-missing", "all"), ("alert-missing", "cyber")]


def test_a_release_whose_beginning_is_not_kept_is_counted_and_not_judged() -> None:
    written = Written.of(World().announce().until(70))
    assert written.derived() == ([], 0)
    written.drop(lambda name, event: name == "windows" and "scheduled" in event["type"])
    assert written.derived(cut=("windows", "alerts")) == ([], 1)
    found, skipped = written.derived()
    assert (bool(found), skipped) == (True, 0)


def test_what_is_said_again_is_no_difference() -> None:
    world = World().announce(event_id="e").announce(event_id="e")
    world.answer("cyber", "participating", event_id="a").answer("cyber", "participating", event_id="a")
    assert Written.of(world.until(1)).differences() == []


@cache
def _written(seed: int) -> Written:
    return Written.by(seed)
