"""Cases decided about who is told what, each as given – when – then."""

import pytest

from tests.simulation.world import World, at, registry, release


def given() -> World:
    """m-1 announced on day 0 to whoever takes `cyber`: agencies `all` and `cyber` match."""
    return World().announce()


def test_matching_agencies_are_told_each_with_the_reason() -> None:
    world = given()
    assert {agency: world.kinds(agency) for agency in ("all", "cyber", "drills", "not")} == {
        "all": ["scheduled"],
        "cyber": ["scheduled"],
        "drills": [],
        "not": [],
    }
    assert world.alerts("cyber")[0]["why"] == "matching"


def test_listed_agencies_are_told_whatever_their_interests() -> None:
    world = World().announce(audience={"mode": "listed", "agencies": ["drills", "cyber"], "exclude": ["cyber"]})
    assert world.kinds("drills") == ["scheduled"]
    assert world.kinds("cyber") == []
    assert world.alerts("drills")[0]["why"] == "listed"


def test_an_excluded_agency_hears_nothing() -> None:
    assert World().announce(audience={"mode": "matching", "exclude": ["cyber"]}).kinds("cyber") == []


def test_no_alert_lists_the_audience() -> None:
    world = World().announce(audience={"mode": "listed", "agencies": ["cyber", "all"]})
    assert b"audience" not in (world.logs["alerts.cyber"][0].value or b"")


def test_the_lab_sees_by_name_each_agency_that_was_told_and_when() -> None:
    told = [event["data"] for event in given().events("receipts.lab", "disclosure")]
    assert [(d["agency"], d["kind"], d["told_at"]) for d in told] == [
        ("all", "scheduled", at(0)),
        ("cyber", "scheduled", at(0)),
    ]


def test_an_alert_stands_in_both_topics_with_one_id() -> None:
    world = given()
    assert world.logs["alerts.cyber"][0].value in [record.value for record in world.logs["alerts"]]
    assert world.events("alerts.cyber")[0]["id"] == world.alerts("cyber")[0]["alert_id"]


def test_every_alert_carries_its_tlp_and_the_default_is_amber_strict() -> None:
    assert given().alerts("cyber")[0]["tlp"] == "TLP:AMBER+STRICT"
    assert World().announce(tlp="TLP:RED").alerts("cyber")[0]["tlp"] == "TLP:RED"


def test_every_alert_says_that_it_is_voluntary() -> None:
    assert "approves nothing" in given().alerts("cyber")[0]["voluntary"]


def test_an_alert_carries_the_registry_version_it_was_routed_under() -> None:
    world = given().apply(registry(version=2)).announce(handling="anew")
    assert [a["registry_version"] for a in world.alerts("cyber")] == [1, 2]


def test_scheduled_asks_for_received_within_a_day() -> None:
    alert = given().alerts("all")[0]
    assert alert["asks"] == "received"
    assert alert["answer_by"] == [
        {"tier": "watch", "told_at": at(0), "due_at": at(1), "passed_at": at(2)},
        {"tier": "lead", "told_at": at(2), "due_at": at(3), "passed_at": at(4)},
    ]


def test_near_the_opening_four_hours_are_given() -> None:
    alert = World().announce(early_access={"opens": "P25D"}).alerts("cyber")[0]
    assert alert["answer_by"][0]["due_at"] == at(4 / 24)


def test_a_withdrawal_is_chased_within_a_day_however_near_the_opening_was() -> None:
    alert = World().announce(early_access={"opens": "P25D"}).withdraw().alerts("cyber")[-1]
    assert (alert["kind"], alert["asks"], alert["chased"]) == ("withdrawn", "received", True)
    assert alert["answer_by"][0]["due_at"] == at(1)


@pytest.mark.parametrize("kind", ["closing-soon", "closed"])
def test_closing_asks_for_nothing(kind: str) -> None:
    alert = next(a for a in given().until(31).alerts("cyber") if a["kind"] == kind)
    assert "asks" not in alert
    assert alert["chased"] is False
    assert alert["answer_by"] == []


def test_a_release_without_early_access_is_told_only_to_who_opted_in() -> None:
    world = World().announce(early_access=None, capabilities=["biology"])
    assert world.kinds("not") == ["announced"]
    assert world.kinds("all") == []
    assert "asks" not in world.alerts("not")[0]


def test_an_announced_release_that_is_withdrawn_is_told_only_to_who_heard_of_it() -> None:
    world = World().announce(early_access=None, capabilities=["biology"]).withdraw()
    assert world.kinds("not") == ["announced", "withdrawn"]
    assert world.kinds("all") == []


def test_a_kind_left_out_is_not_told_but_the_agency_stays_addressed() -> None:
    world = World().announce(capabilities=["biology"])
    assert world.kinds("not") == []
    world.announce(capabilities=["biology"], handling="anew").withdraw()
    assert world.kinds("not") == ["rescheduled", "withdrawn"]


def test_an_opening_on_short_notice_is_never_left_out() -> None:
    world = World().announce(capabilities=["biology"], trusted_partner_release_at=at(16))
    assert world.window()["short_notice"] is True
    assert world.kinds("not") == ["scheduled"]
    assert world.alerts("not")[0]["why"] == "short-notice"
    told = {event["data"]["agency"]: event["data"]["why"] for event in world.events("receipts.lab", "disclosure.")}
    assert told == {"all": "matching", "not": "short-notice"}, "the lab is told the same reason"


def test_an_exercise_reaches_only_who_takes_part_in_drills() -> None:
    audience = {"mode": "listed", "agencies": ["drills", "cyber"]}
    world = World().announce(exercise=True, audience=audience).until(31)
    assert world.kinds("cyber") == []
    told = ["scheduled", "scheduled reminder watch", "opened", "opened reminder watch", "closing-soon", "closed"]
    assert world.kinds("drills") == told
    assert all(alert["exercise"] for alert in world.alerts("drills"))
    assert all(w["window"]["exercise"] for w in world.windows())
    assert world.receipt()["exercise"] is True


def test_when_only_the_audience_changes_only_those_added_or_removed_hear() -> None:
    world = World().announce(audience={"mode": "listed", "agencies": ["all", "cyber"]})
    world.announce(audience={"mode": "listed", "agencies": ["all", "drills"]})
    assert world.kinds("all") == ["scheduled"]
    assert world.kinds("cyber") == ["scheduled", "no-longer-addressed"]
    assert world.kinds("drills") == ["scheduled"]


def test_no_longer_addressed_carries_nothing_of_the_new_statement() -> None:
    world = given().announce(audience={"mode": "matching", "exclude": ["cyber"]}, tlp="TLP:RED", handling="new words")
    alert = world.alerts("cyber")[-1]
    assert alert["kind"] == "no-longer-addressed"
    assert "content" not in alert
    assert alert["changed"] == []
    assert alert["tlp"] == "TLP:AMBER+STRICT"
    assert (alert["asks"], alert["chased"]) == ("received", False)


def test_who_is_no_longer_addressed_is_told_once_and_hears_no_more() -> None:
    world = given().announce(audience={"mode": "matching", "exclude": ["cyber"]})
    world.announce(audience={"mode": "matching", "exclude": ["cyber"]}, handling="anew").until(40)
    assert world.kinds("cyber") == ["scheduled", "no-longer-addressed"]


def test_who_never_heard_of_it_is_not_told_that_it_is_no_longer_addressed() -> None:
    world = World().announce(capabilities=["biology"])
    world.announce(capabilities=["biology"], audience={"mode": "matching", "exclude": ["not"]})
    assert world.kinds("not") == []


def test_addressed_again_is_told_the_window_as_it_stands() -> None:
    world = given().announce(audience={"mode": "matching", "exclude": ["cyber"]}).until(17).announce()
    assert world.kinds("cyber") == ["scheduled", "no-longer-addressed", "opened"]
    assert [a["sequence"] for a in world.alerts("cyber")] == [1, 2, 3]


def test_an_agency_that_becomes_relevant_by_the_registry_is_told_the_window_as_it_stands() -> None:
    agencies = {"cyber": {"name": "Cyber"}, "new": {"name": "New"}, "all": {"name": "All", "tiers": ["watch", "lead"]}}
    world = given().until(17).apply(registry(version=2, agencies=agencies))
    assert world.kinds("new") == ["opened"]
    assert world.alerts("new")[0]["registry_version"] == 2


def test_an_agency_that_is_offboarded_is_told_once_and_chased_no_more() -> None:
    agencies = {"all": {"name": "All", "tiers": ["watch", "lead"]}}
    world = given().apply(registry(version=2, agencies=agencies, offboarded={"cyber": at(0)})).until(15)
    assert world.kinds("cyber") == ["scheduled", "no-longer-addressed"]
    assert world.acknowledgements("overdue") != []
    assert {o["agency"] for o in world.acknowledgements("overdue")} == {"all"}


def test_a_registry_change_does_not_touch_windows_that_have_ended() -> None:
    agencies = {"new": {"name": "New"}}
    assert given().until(31).apply(registry(version=2, agencies=agencies)).kinds("new") == []


def test_a_registry_change_that_changes_nothing_for_a_window_alerts_nobody() -> None:
    world = given().apply(registry(version=2, capabilities={"cyber": "said better"}))
    assert world.kinds("cyber") == ["scheduled"]


def test_a_labs_windows_run_on_after_it_is_offboarded_and_nothing_new_is_taken() -> None:
    world = given().apply(registry(version=2, labs={"other": {"name": "Other"}}, offboarded={"lab": at(0)})).until(31)
    assert world.window()["status"] == "closed"
    assert world.announce(handling="anew").receipt()["codes"] == ["offboarded"]


def test_a_new_life_tells_those_addressed_now_and_nobody_that_they_are_not() -> None:
    world = given().withdraw().announce(audience={"mode": "matching", "exclude": ["cyber"]})
    assert world.kinds("cyber") == ["scheduled", "withdrawn"]
    assert world.kinds("all") == ["scheduled", "withdrawn", "scheduled"]


def test_a_restart_between_withdrawn_and_the_opening_time_gives_no_opened() -> None:
    world = given().withdraw()
    for name in world.ledgers:
        world.crash(name)
    assert "opened" not in world.until(31).kinds("cyber")


def test_sequences_go_on_over_restarts() -> None:
    world = given().crash("notifier").until(17)
    assert [a["sequence"] for a in world.alerts("cyber")] == list(range(1, len(world.alerts("cyber")) + 1))


def test_a_labs_own_words_stand_in_the_alert_verbatim() -> None:
    words = "Line one.\n\tLine two: <b>as it is</b>"
    assert World().announce(handling=words).alerts("cyber")[0]["content"]["handling"] == words


def test_an_embargo_is_shown_and_delays_nothing() -> None:
    alert = World().announce(embargo_until=at(90)).alerts("cyber")[0]
    assert alert["content"]["embargo_until"] == at(90)
    assert alert["issued_at"] == at(0)
    assert release()["reference"] == alert["content"]["reference"]
