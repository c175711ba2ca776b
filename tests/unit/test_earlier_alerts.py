"""However often a release is revised: each alert of an agency can still be answered, and what is kept stays small."""

import json
import random
from typing import Any
from uuid import UUID

import pytest

from services.acknowledgements import state as kept
from services.acknowledgements.earlier import Run, Sent, appended
from services.acknowledgements.state import AcknowledgementState
from tests.simulation.world import World, day


def revised(times: int) -> World:
    """m-1, announced and revised so often that most of its alerts are earlier ones."""
    world = World().announce()
    for number in range(times):
        world.announce(handling=f"statement {number}")
    return world


def state(world: World) -> AcknowledgementState:
    """What is kept of the one release."""
    (found,) = world.ledgers["acknowledgements"].states.values()
    assert isinstance(found, AcknowledgementState)
    return found


def test_what_is_kept_hardly_grows_with_the_revisions() -> None:
    few, many = (state(revised(times)) for times in (30, 90))
    assert len(many.encoded()) < len(few.encoded()) + 50
    assert all(len(standing.sent) == kept.WHOLE for standing in many.agencies.values())


def test_an_alert_of_long_ago_is_answered_once() -> None:
    world = revised(40)
    for number in (1, 0):
        world.answer("cyber", alert=world.alerts("cyber")[number]["alert_id"])
        assert (world.receipt("cyber")["outcome"], world.receipt("cyber")["codes"]) == ("accepted", ["superseded"])
    for number in (1, 0):
        world.answer("cyber", alert=world.alerts("cyber")[number]["alert_id"])
        assert world.receipt("cyber")["outcome"] == "unchanged"
    assert len(world.acknowledgements()) == 2


def test_an_alert_that_was_answered_when_it_was_new_stays_so() -> None:
    world = World().announce().answer("cyber")
    first = world.alerts("cyber")[0]["alert_id"]
    for number in range(40):
        world.announce(handling=f"statement {number}")
    assert world.answer("cyber", alert=first).receipt("cyber")["outcome"] == "unchanged"
    assert world.answer("cyber", "participating", alert=first).receipt("cyber")["outcome"] == "accepted"


def test_an_id_that_no_earlier_alert_has_is_unknown() -> None:
    world = revised(40)
    others = world.alerts("all")[3]["alert_id"]
    assert world.answer("cyber", alert=others).receipt("cyber")["codes"] == ["unknown_alert"]


def test_an_alert_of_long_ago_is_late_when_those_about_it_are() -> None:
    world = revised(40)
    first = world.alerts("cyber")[1]["alert_id"]
    assert world.until(1.5).answer("cyber", alert=first).receipt("cyber")["codes"] == ["superseded", "late"]


def test_an_alert_that_still_asks_and_its_reminder_stay_whole_whatever_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "WHOLE", 1)
    world = revised(20).until(29)
    standing = state(world).standing("cyber")
    assert standing.asking in standing.sent
    assert world.answer("cyber", alert=standing.asking).receipt("cyber")["codes"] == ["late"]


def test_a_run_has_no_gaps_and_the_latest_due_time() -> None:
    alerts = [Sent(kind="rescheduled", life=1, original=str(UUID(int=n)), due_at=day(n)) for n in (1, 3, 2)]
    runs: tuple[Run, ...] = ()
    for sequence, alert in enumerate(alerts, 3):
        runs = appended(runs, alert, sequence, sequence == 4)
    assert runs == (Run(first=3, last=5, kind="rescheduled", life=1, due_at=day(3), answered="2"),)
    assert [(run.first, run.last) for run in appended(runs, alerts[0], 7, False)] == [(3, 5), (7, 7)]


def test_a_state_of_before_is_read_and_its_alerts_are_answered() -> None:
    world = World().announce()
    (key,), ledger = world.ledgers["acknowledgements"].states, world.ledgers["acknowledgements"]
    before = json.loads(state(world).encoded())
    for standing in before["agencies"].values():
        del standing["earlier"]
        for sent in standing["sent"].values():
            del sent["sequence"]
    ledger.states[key] = AcknowledgementState.model_validate_json(json.dumps(before), extra="ignore")
    for number in range(40):
        world.announce(handling=f"statement {number}")
    first = world.alerts("cyber")[0]["alert_id"]
    assert world.answer("cyber", alert=first).receipt("cyber")["codes"] == ["superseded"]


def _outcomes(seed: int) -> list[Any]:
    """Of answers to any alerts of a release that is announced, withdrawn and announced again."""
    chance, world, found = random.Random(seed), World().announce(), []
    for number in range(60):
        if chance.random() < 0.7:
            world.withdraw() if chance.random() < 0.15 else world.announce(handling=f"statement {number}")
            continue
        disposition = chance.choice(["received", "received", "participating", "declined", "finished"])
        alert = chance.choice(world.alerts("cyber"))["alert_id"]
        receipt = world.answer("cyber", disposition, alert=alert).receipt("cyber")
        found.append((disposition, receipt["outcome"], receipt["codes"]))
    return [found, world.acknowledgements()]


@pytest.mark.parametrize("seed", range(8))
def test_an_earlier_alert_is_answered_as_one_that_is_kept_whole(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    folded = _outcomes(seed)
    monkeypatch.setattr(kept, "WHOLE", 1_000)
    assert folded == _outcomes(seed)
