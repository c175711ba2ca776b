"""A dry run says what then happens: foreseen on what the read model would know, and compared with all the services."""

import json
import random
from typing import Any

import pytest

from schemas.release import Release, ReleaseWithdrawn
from services.gateway.door.problem import Problem
from services.gateway.door.trial import Found, Trial, tried
from tests.scale import scaled
from tests.simulation.world import World, at, day, registry, release

LIVES = scaled(150, 2000)
AGENCIES = ("all", "cyber", "drills", "not")


def foreseen(world: World, said: dict[str, Any], *, withdrawal: bool = False) -> Trial | list[str]:
    """What a dry run answers, or the codes of its reasons."""
    announcements, windows = world.events("announcements"), world.events("windows")
    announcement = None
    if announcements:
        withdrawn = announcements[-1]["type"] == "herald.announcement.withdrawn.v1"
        announcement = announcements[-1]["data"]["announcement"] | {"withdrawn": withdrawn}
    found = Found(
        announcement,
        windows[-1]["data"]["window"] if windows else None,
        [event["data"] for event in world.events("receipts.lab", "disclosure")],
    )
    kind: Any = ReleaseWithdrawn if withdrawal else Release
    version = world.ledgers["announcements"].registry
    try:
        return tried("lab", kind.model_validate_json(json.dumps(said)), "r", found, version, world.now)
    except Problem as problem:
        return [reason.code for reason in problem.reasons]


def compare(world: World, said: dict[str, Any], *, withdrawal: bool = False) -> None:
    """Foresees, says it, and looks."""
    trial = foreseen(world, said, withdrawal=withdrawal)
    before = {agency: len(world.alerts(agency)) for agency in AGENCIES}
    kind = "release.withdrawn" if withdrawal else "release.announced"
    world.send("releases.lab", "/labs/lab", kind, said)
    receipt = world.receipt()
    told = {(agency, one["kind"], one["why"]) for agency in AGENCIES for one in world.alerts(agency)[before[agency] :]}
    if not isinstance(trial, Trial):
        assert (receipt["outcome"], receipt["codes"]) == ("refused", trial)
        return
    assert trial.outcome == receipt["outcome"]
    assert [warning.code for warning in trial.warnings] == receipt["codes"]
    assert (trial.revision, trial.life) == (receipt["revision"], receipt["life"])
    assert list(trial.changed) == receipt.get("changed", [])
    assert json.loads(trial.window.model_dump_json(exclude_none=True)) == receipt["window"]
    assert {(one.agency, one.kind, one.why) for one in trial.would_tell if one.at == world.now} == told


def a_statement(dice: random.Random, now: float) -> dict[str, Any]:
    """Something that a lab may say."""
    opens: Any = dice.choice(["P14D", "P45D", "PT1H", "P2D", at(now + dice.uniform(-3, 20))])
    access = dice.choice([None] * 5 + [{"how": "by phone"}] * 4 + [{"how": "password: hunter2!"}])
    offer = {"opens": opens} | ({"access": access} if access else {})
    audience = [
        {"mode": "matching"},
        {"mode": "matching"},
        {"mode": "matching", "exclude": ["all"]},
        {"mode": "listed", "agencies": ["cyber", "not", "nobody"]},
    ]
    return release(
        trusted_partner_release_at=at(dice.choice([30, now + dice.uniform(-2, 40)])),
        early_access=dice.choice([offer, offer, offer, None]),
        audience=dice.choice(audience),
        capabilities=dice.choice([["cyber"], ["biology"], ["cyber", "new-one"], None]),
        handling=dice.choice([None, "with care"]),
        public_release_at=dice.choice([None, at(90)]),
        exercise=dice.choice([None] * 29 + [True]),
        model={"name": dice.choice(["One", "Two"])},
    )


def another(dice: random.Random, last: dict[str, Any] | None, fresh: dict[str, Any]) -> dict[str, Any]:
    """The last statement again, or one field of it changed, or another one altogether."""
    which = dice.random()
    if last is None or which < 0.4:
        return fresh
    field = dice.choice([*sorted(fresh.keys() - {"reference"}), "audience"])
    return last if which < 0.55 else last | {field: fresh[field]}


@pytest.mark.timeout(1200)
def test_a_dry_run_foresees_receipt_window_and_who_is_told_whatever_was_said_before() -> None:
    outcomes: set[str] = set()
    for seed in range(LIVES):
        dice, world, now, last = random.Random(seed), World(), 0.0, None
        for _ in range(dice.randint(2, 8)):
            step = dice.random()
            if step < 0.1:
                interests = {"capabilities": ["cyber"]}
                agencies = {"all": {"name": "All"}, "cyber": {"name": "Cyber", "interests": interests}}
                version = world.ledgers["announcements"].registry.version + 1
                world.apply(registry(version=version, agencies=agencies))
            elif step < 0.4:
                now += dice.choice([0.01, 1, 5, 20])
                world.until(now)
            elif step < 0.55:
                compare(world, {"reference": "m-1"}, withdrawal=True)
            else:
                last = another(dice, last, a_statement(dice, now))
                compare(world, last)
            outcomes |= {event["type"].split(".")[2] for event in world.events("receipts.lab", "receipt.")}
    assert outcomes == {"accepted", "unchanged", "refused"}


def test_a_dry_run_foresees_what_time_brings() -> None:
    world = World()
    trial = foreseen(world, release())
    assert isinstance(trial, Trial)
    world.announce().answer("all").answer("cyber").until(16).answer("all").answer("cyber").until(40)
    happened = [
        (agency, one["kind"], one["issued_at"])
        for agency in AGENCIES
        for one in world.alerts(agency)
        if one.get("chase") is None
    ]
    foretold = [(one.agency, one.kind, one.at.isoformat().replace("+00:00", "Z")) for one in trial.would_tell]
    assert foretold == happened
    assert {one.at for one in trial.would_tell} == {day(0), day(16), day(27), day(30)}
