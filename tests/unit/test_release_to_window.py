"""Cases decided about releases and windows, each as given – when – then."""

import json

import pytest

from tests.simulation.world import World, at, day, registry


def given() -> World:
    """A deployment in which the lab has announced m-1 on day 0: it opens on day 16 and closes on day 30."""
    return World().announce()


def test_an_announced_release_is_recorded_with_its_window() -> None:
    world = given()
    assert world.receipt()["outcome"] == "accepted"
    assert world.receipt()["revision"] == 1
    assert world.receipt()["window"] == {"status": "scheduled", "opens_at": at(16), "closes_at": at(30)}
    assert world.window()["opens_at"] == at(16)
    assert world.windows()[-1]["event"] == "scheduled"


def test_the_window_opens_warns_and_closes_by_time() -> None:
    world = given().until(31)
    assert [w["event"] for w in world.windows()] == ["scheduled", "opened", "closing-soon", "closed"]
    assert [w.get("due_at") for w in world.windows()] == [None, at(16), at(27), at(30)]
    assert world.window()["opened_at"] == at(16)
    assert world.window()["reason"] == "release"


def test_a_window_closes_at_the_labs_earlier_closing() -> None:
    world = World().announce(early_access={"opens": "P14D", "closes_at": at(20)}).until(31)
    assert world.window()["ended_at"] == at(20)
    assert world.window()["reason"] == "lab_closing"


def test_more_than_thirty_days_is_clamped_with_a_warning() -> None:
    world = World().announce(trusted_partner_release_at=at(60), early_access={"opens": "P45D"})
    assert world.receipt()["outcome"] == "accepted"
    assert world.receipt()["warnings"][0]["applies"] == at(30)
    assert world.receipt()["codes"] == ["opening_clamped"]
    assert world.window()["opens_at"] == at(30)


def test_a_closing_after_the_release_is_clamped_with_a_warning() -> None:
    world = World().announce(early_access={"opens": "P14D", "closes_at": at(40)})
    assert world.receipt()["codes"] == ["closing_clamped"]
    assert world.window()["closes_at"] == at(30)


def test_the_same_statement_again_is_unchanged_and_alerts_nobody() -> None:
    world = given()
    before = len(world.logs["announcements"]), len(world.logs["windows"]), len(world.logs["alerts"])
    world.announce()
    assert world.receipt()["outcome"] == "unchanged"
    assert (len(world.logs["announcements"]), len(world.logs["windows"]), len(world.logs["alerts"])) == before


def test_a_revision_that_is_not_material_is_recorded_and_alerts_nobody() -> None:
    world = given().announce(model={"name": "Model One", "summary": "said better"})
    assert world.receipt()["outcome"] == "accepted"
    assert world.receipt()["changed"] == ["model"]
    assert world.events("announcements")[-1]["data"]["material"] is False
    assert len(world.windows()) == 1
    assert world.kinds("cyber") == ["scheduled"]


def test_what_was_revised_without_being_material_is_told_with_the_next_alert() -> None:
    world = given().announce(model={"name": "Model One", "version": "2"}).until(17)
    assert world.alerts("cyber")[-1]["content"]["model"]["version"] == "2"


def test_a_material_revision_without_a_moved_date_is_rescheduled_naming_what_changed() -> None:
    world = given().announce(handling="for the watch desk only")
    assert world.windows()[-1]["event"] == "rescheduled"
    assert world.windows()[-1]["changed"] == ["handling"]


def test_a_release_that_slips_while_open_leaves_the_window_open() -> None:
    world = given().until(20).announce(trusted_partner_release_at=at(50))
    assert world.windows()[-1]["event"] == "rescheduled"
    assert world.window()["status"] == "open"
    assert world.window()["opened_at"] == at(16)
    assert world.window()["closes_at"] == at(50)
    assert world.until(51).windows()[-1]["event"] == "closed"


def test_a_slip_keeps_an_earlier_closing_that_the_lab_fixed() -> None:
    offer = {"opens": "P14D", "closes_at": at(25)}
    world = World().announce(early_access=offer).until(20)
    world.announce(early_access=offer, trusted_partner_release_at=at(50))
    assert world.window()["closes_at"] == at(25)


def test_the_closing_warning_is_armed_anew_when_the_closing_moves() -> None:
    world = given().until(28).announce(trusted_partner_release_at=at(40)).until(41)
    warnings = [w["due_at"] for w in world.windows() if w["event"] == "closing-soon"]
    assert warnings == [at(27), at(37)]


def test_a_release_pulled_forward_past_its_opening_opens_at_once() -> None:
    world = given().until(5).announce(trusted_partner_release_at=at(15))
    assert world.windows()[-1]["event"] == "opened"
    assert world.window()["short_notice"] is True
    assert world.window()["opened_at"] == at(5)
    assert "short_notice" in world.receipt()["codes"]


def test_a_release_pulled_forward_into_the_past_withdraws_a_scheduled_window() -> None:
    world = given().until(5).announce(trusted_partner_release_at=at(4))
    assert world.windows()[-1]["event"] == "withdrawn"
    assert world.window()["reason"] == "release_reached"
    assert "release_in_the_past" in world.receipt()["codes"]


def test_a_release_pulled_forward_into_the_past_closes_an_open_window() -> None:
    world = given().until(20).announce(trusted_partner_release_at=at(19))
    assert world.windows()[-1]["event"] == "closed"
    assert world.window()["reason"] == "release"


def test_an_opening_after_the_release_is_not_offered_when_nobody_was_told() -> None:
    world = World().announce(early_access={"opens": at(31)})
    assert world.windows()[-1]["event"] == "not-offered"
    assert "no_time_left" in world.receipt()["codes"]


def test_an_opening_after_the_release_withdraws_what_was_told() -> None:
    world = given().announce(early_access={"opens": at(31)})
    assert world.window()["status"] == "withdrawn"
    assert world.window()["reason"] == "no_time_left"


def test_an_offer_after_not_offered_is_the_same_life() -> None:
    world = World().announce(early_access=None).announce()
    assert [w["event"] for w in world.windows()] == ["not-offered", "scheduled"]
    assert world.window()["life"] == 1


def test_another_opening_planned_while_open_is_ignored_with_a_warning() -> None:
    world = given().until(17).announce(early_access={"opens": "P7D"})
    assert "already_open" in world.receipt()["codes"]
    assert world.window()["status"] == "open"
    assert world.window()["opens_at"] == at(16)


def test_a_release_pulled_forward_past_the_warning_gives_no_warning() -> None:
    world = given().until(20).announce(trusted_partner_release_at=at(22)).until(23)
    assert "closing-soon" not in [w["event"] for w in world.windows()]


def test_a_window_shorter_than_the_closing_warning_gives_none() -> None:
    world = World().announce(early_access={"opens": "P2D"}).until(31)
    assert [w["event"] for w in world.windows()] == ["scheduled", "opened", "closed"]


def test_a_statement_after_closed_that_closes_in_the_future_is_a_new_life() -> None:
    world = given().until(31).announce(trusted_partner_release_at=at(60))
    assert world.window()["life"] == 2
    assert world.receipt()["life"] == 2
    assert world.window()["status"] == "scheduled"


def test_any_other_statement_after_closed_is_only_recorded() -> None:
    world = given().until(31)
    seen = len(world.windows())
    world.announce(handling="said late")
    assert world.receipt()["outcome"] == "accepted"
    assert "after_the_end" in world.receipt()["codes"]
    world.withdraw()
    assert world.receipt()["outcome"] == "accepted"
    assert len(world.windows()) == seen


def test_a_removed_offer_withdraws_the_window() -> None:
    world = given().announce(early_access=None)
    assert world.windows()[-1]["event"] == "withdrawn"
    assert world.window()["reason"] == "offer_withdrawn"
    assert world.events("announcements")[-1]["type"] == "herald.announcement.revised.v1"


def test_a_later_offer_after_a_removed_one_is_a_new_life() -> None:
    world = given().announce(early_access=None).announce()
    assert world.window()["life"] == 2
    assert world.window()["status"] == "scheduled"


def test_a_withdrawn_release_is_withdrawn() -> None:
    world = given().withdraw()
    assert world.events("announcements")[-1]["type"] == "herald.announcement.withdrawn.v1"
    assert world.window()["reason"] == "withdrawn"
    assert [w["event"] for w in world.until(40).windows()] == ["scheduled", "withdrawn"]


def test_withdrawn_twice_is_unchanged() -> None:
    assert given().withdraw().withdraw().receipt()["outcome"] == "unchanged"


def test_withdrawn_and_announced_again_is_a_new_life_of_the_same_release() -> None:
    world = given().withdraw().announce()
    assert world.window()["life"] == 2
    assert world.receipt()["revision"] == 3
    assert [a["sequence"] for a in world.alerts("cyber")] == [1, 2, 3]


def test_withdrawing_what_was_never_announced_is_refused() -> None:
    assert World().withdraw().receipt()["codes"] == ["unknown_release"]


def test_two_revisions_in_one_batch_both_count() -> None:
    world = given()
    world.down.add("windows")
    world.announce(trusted_partner_release_at=at(40)).announce(trusted_partner_release_at=at(50))
    world.down.clear()
    world.settle()
    assert [w["window"]["closes_at"] for w in world.windows()] == [at(30), at(40), at(50)]


def test_an_older_statement_is_stale() -> None:
    world = World().announce(stated_at=at(-1)).announce(stated_at=at(-2), handling="older")
    assert world.receipt()["codes"] == ["stale"]
    assert world.withdraw(stated_at=at(-3)).receipt()["codes"] == ["stale"]


def test_without_a_time_of_its_own_the_later_statement_stands() -> None:
    world = World().announce(stated_at=at(-1)).announce(handling="later")
    assert world.receipt()["outcome"] == "accepted"


def test_an_exercise_is_never_turned_into_a_real_release() -> None:
    world = World().announce(exercise=True).announce()
    assert world.receipt()["codes"] == ["exercise_changed"]


@pytest.mark.parametrize(
    "secret",
    [
        "use AKIAABCDEFGHIJKLMNOP",
        "-----BEGIN PRIVATE KEY-----",
        "password: hunter2hunter2",
        "https://user:pass@lab.example/",
        "token=ghp_abcdefghijklmnop1234",
        "Bearer abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_a_secret_in_the_access_is_refused_without_repeating_it(secret: str) -> None:
    world = World().announce(early_access={"opens": "P14D", "access": {"how": secret}})
    assert world.receipt()["codes"] == ["secret_in_access"]
    assert secret not in json.dumps(world.receipt())
    assert world.receipt()["reasons"][0]["field"] == "early_access.access.how"


def test_prose_about_access_is_no_secret() -> None:
    words = "Ask for the password by phone; the token: handed over in person. API key on request."
    world = World().announce(early_access={"opens": "P14D", "access": {"how": words}})
    assert world.receipt()["outcome"] == "accepted"


def test_an_unknown_capability_is_taken_with_a_warning_that_names_the_nearest() -> None:
    world = World().announce(capabilities=["cybr"])
    assert world.receipt()["codes"] == ["unknown_capability"]
    assert "did you mean cyber?" in world.receipt()["warnings"][0]["message"]
    assert world.kinds("all") == ["scheduled"]
    assert world.kinds("cyber") == []


def test_an_unknown_agency_in_the_audience_is_a_warning() -> None:
    world = World().announce(audience={"mode": "listed", "agencies": ["cyber", "cybr"]})
    assert world.receipt()["codes"] == ["unknown_agency"]
    assert world.kinds("cyber") == ["scheduled"]


def test_nothing_is_refused_for_what_it_says() -> None:
    for offer in ({"opens": at(-10)}, {"opens": "P90D"}, {"opens": "P14D", "closes_at": at(-1)}, None):
        for instant in (at(-30), at(0), at(500)):
            world = World().announce(trusted_partner_release_at=instant, early_access=offer)
            assert world.receipt()["outcome"] == "accepted"


def test_the_same_event_again_gets_the_same_receipt_byte_for_byte() -> None:
    world = World().announce(event_id="ci-7").announce(handling="changed")
    world.until(1).announce(event_id="ci-7")
    first, _, again = (record.value for record in world.logs["receipts.lab"] if b"receipt." in (record.value or b""))
    assert again == first
    assert len(world.events("announcements")) == 2


def test_a_window_a_year_ahead_opens_on_its_day() -> None:
    world = World().announce(trusted_partner_release_at=at(400)).until(387)
    assert world.window()["opened_at"] == at(386)


def test_every_transition_missed_while_down_happens_once_in_due_order_with_both_times() -> None:
    world = given()
    world.down.update({"windows", "notifier"})
    world.until(40)
    world.down.clear()
    world.crash("windows").crash("notifier").settle()
    late = [w for w in world.windows() if w.get("due_at")]
    assert [w["event"] for w in late] == ["opened", "closing-soon", "closed"]
    assert [w["due_at"] for w in late] == [at(16), at(27), at(30)]
    assert {w["happened_at"] for w in late} == {at(40)}
    assert world.kinds("cyber")[-3:] == ["opened", "closing-soon", "closed"]


def test_a_withdrawal_that_waits_in_the_queue_comes_before_the_opening() -> None:
    world = given()
    world.down.add("windows")
    world.until(15).withdraw().until(20)
    world.down.clear()
    world.settle()
    assert [w["event"] for w in world.windows()] == ["scheduled", "withdrawn"]


def test_the_policy_is_fixed_when_the_window_is_scheduled() -> None:
    world = given().apply(registry(version=2, policy={"closing_warning": "P10D"})).until(31)
    assert [w["due_at"] for w in world.windows() if w["event"] == "closing-soon"] == [at(27)]


def test_state_shrinks_thirty_days_after_the_end() -> None:
    world = given().until(61)
    states = {name: next(iter(ledger.states.values())) for name, ledger in world.ledgers.items() if ledger.states}
    assert states["windows"].window is None  # type: ignore[attr-defined]
    assert states["notifier"].window is None  # type: ignore[attr-defined]
    assert states["acknowledgements"].shrunk is True  # type: ignore[attr-defined]
    assert world.announce(trusted_partner_release_at=at(90)).window()["life"] == 2
    assert world.alerts("cyber")[-1]["sequence"] == len(world.alerts("cyber"))


def test_a_lab_is_answered_under_its_own_release_id_everywhere() -> None:
    world = given()
    ids = {world.window()["release_id"], world.receipt()["release_id"], world.alerts("cyber")[0]["release_id"]}
    assert len(ids) == 1
    assert "m-1" not in ids.pop()
    assert day(0) == world.now
