"""What the page behind a link asks: the window as it stands, and no answer that would not be taken."""

import copy
from collections.abc import Callable
from typing import get_args

import pytest

from schemas.alert import AlertIssued
from schemas.envelope import reader
from schemas.values import Disposition
from services.gateway.door.asking import Question, question
from tests.simulation.world import World, at, registry


def asked(world: World, agency: str = "cyber", life: int = 1) -> Question | None:
    """What a link of that life asks now."""
    alerts = [reader(AlertIssued).validate_json(record.value or b"").data for record in world.logs[f"alerts.{agency}"]]
    return question(alerts, world.events(f"receipts.{agency}"), life, world.now)


def of(world: World, agency: str = "cyber", life: int = 1) -> Question:
    found = asked(world, agency, life)
    assert found is not None
    return found


OFFER = {"opens": "P14D"}
LIVES: dict[str, Callable[[], World]] = {
    "scheduled": lambda: World().announce(),
    "received": lambda: World().announce().answer("cyber"),
    "participating": lambda: World().announce().answer("cyber", "participating"),
    "declined": lambda: World().announce().answer("cyber", "declined"),
    "rescheduled": lambda: (
        World().announce().answer("cyber", "participating").announce(trusted_partner_release_at=at(40))
    ),
    "open": lambda: World().announce().until(16.5),
    "open and taking part": lambda: World().announce().answer("cyber", "participating").until(17),
    "closing soon": lambda: World().announce().answer("cyber", "participating").until(28),
    "finished early": lambda: World().announce().answer("cyber", "participating").until(20).answer("cyber", "finished"),
    "closed": lambda: World().announce().until(31),
    "closed after taking part": lambda: World().announce().answer("cyber", "participating").until(31),
    "long over": lambda: World().announce().answer("cyber", "participating").until(61),
    "withdrawn": lambda: World().announce().answer("cyber", "participating").withdraw(),
    "offer withdrawn": lambda: World().announce().answer("cyber", "participating").announce(early_access=None),
    "no longer addressed": lambda: World().announce().announce(audience={"mode": "listed", "agencies": ["all"]}),
    "silent": lambda: World().announce().until(4),
}


@pytest.mark.parametrize("name", LIVES)
def test_exactly_what_would_be_taken_is_offered(name: str) -> None:
    world = LIVES[name]()
    asking = of(world)
    taken = []
    for disposition in get_args(Disposition):
        trial = copy.deepcopy(world).answer("cyber", disposition, alert=asking.asked.alert_id)
        if trial.receipt("cyber")["outcome"] != "refused":
            taken.append(disposition)
            assert "superseded" not in trial.receipt("cyber")["codes"]
    assert set(asking.offered) == set(taken)


def test_the_page_shows_the_latest_dates_whatever_alert_its_link_came_with() -> None:
    world = World().announce()
    world.announce(trusted_partner_release_at=at(40))
    asking = of(world)
    assert asking.shown.kind == "rescheduled"
    assert asking.asked.alert_id == world.alerts("cyber")[-1]["alert_id"]
    assert {one["alert_id"] for one in world.alerts("cyber")} == asking.alert_ids


def test_a_reminder_is_answered_as_the_alert_that_it_repeats() -> None:
    world = LIVES["silent"]()
    assert "scheduled reminder watch" in world.kinds("cyber")
    asking = of(world)
    assert asking.asked.repeats is None
    assert asking.due_at is not None
    assert of(world.answer("cyber")).due_at is None  # answers the last one it was sent: the reminder


def test_what_was_answered_is_shown_and_asked_anew_after_a_material_change() -> None:
    world = LIVES["participating"]()
    assert (of(world).standing, of(world).due_at) == ("participating", None)
    world.announce(trusted_partner_release_at=at(40))
    assert of(world).standing == "participating"
    assert of(world).due_at is not None


def test_who_is_no_longer_addressed_is_shown_nothing_of_the_release() -> None:
    asking = of(LIVES["no longer addressed"]())
    assert (asking.shown.content, asking.status, asking.offered) == (None, None, ("received",))


def test_an_agency_that_chose_not_to_be_told_of_openings_still_sees_the_window_as_time_has_moved_it() -> None:
    version = registry(version=2, agencies={"cyber": {"name": "Cyber", "kinds": ["scheduled"]}})
    world = World().apply(version).announce().answer("cyber", "participating")
    assert world.kinds("cyber") == ["scheduled"]
    seen = [of(world.until(number)).status for number in (15, 17, 31)]
    assert seen == ["scheduled", "open", "closed"]
    assert of(world).offered == ("received", "finished")


def test_a_link_of_an_earlier_life_asks_nothing() -> None:
    world = World().announce().withdraw().announce()
    assert asked(world, life=1) is None
    assert of(world, life=2).offered == ("received", "participating", "declined")
