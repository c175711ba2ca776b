"""Cases decided about answers and silence, each as given – when – then."""

import pytest

from schemas.acknowledgement import ReminderDue
from schemas.envelope import encode
from tests.simulation.world import World, at


def given() -> World:
    """m-1 announced on day 0; `cyber` has one tier, `all` has two. The window is open from day 16 to 30."""
    return World().announce()


def first(world: World, agency: str = "cyber") -> str:
    """The first alert that an agency was sent."""
    found: str = world.alerts(agency)[0]["alert_id"]
    return found


def test_received_is_recorded_and_answered_with_a_receipt() -> None:
    world = given().answer("cyber")
    assert world.receipt("cyber")["outcome"] == "accepted"
    assert world.acknowledgements()[0]["disposition"] == "received"
    assert world.acknowledgements()[0]["late"] is False


def test_the_same_answer_again_is_unchanged() -> None:
    world = given().answer("cyber").answer("cyber")
    assert world.receipt("cyber")["outcome"] == "unchanged"
    assert len(world.acknowledgements()) == 1


def test_the_same_event_again_gets_the_same_receipt_byte_for_byte() -> None:
    world = given().answer("cyber", event_id="a1")
    world.until(0.5).answer("cyber", event_id="a1")
    one, two = (record.value for record in world.logs["receipts.cyber"])
    assert one == two


def test_silence_is_reminded_then_escalated_tier_by_tier_then_exhausted() -> None:
    world = given().until(10)
    assert world.kinds("all") == [
        "scheduled",
        "scheduled reminder watch",
        "scheduled escalation lead",
        "scheduled reminder lead",
    ]
    overdue = [o for o in world.acknowledgements("overdue") if o["agency"] == "all"]
    assert [(o["tier"], o["due_at"], o["exhausted"]) for o in overdue] == [
        ("watch", at(1), False),
        ("lead", at(3), False),
        ("lead", at(4), True),
    ]


def test_a_reminder_repeats_the_alert_that_asks_and_moves_no_due_time() -> None:
    asked, reminder = given().until(1.5).alerts("cyber")
    assert reminder["repeats"] == asked["alert_id"]
    assert reminder["answer_by"] == asked["answer_by"]
    assert reminder["sequence"] == 2


def test_an_answer_in_time_stops_the_chase() -> None:
    assert given().answer("cyber").until(15).kinds("cyber") == ["scheduled"]


def test_a_late_ack_stops_the_reminder() -> None:
    world = given().until(1.5)
    world.answer("all", alert=first(world, "all")).until(15)
    assert world.kinds("all") == ["scheduled", "scheduled reminder watch"]
    assert world.receipt("all")["codes"] == ["late"]
    assert world.acknowledgements()[0]["late"] is True


def test_answering_the_reminder_counts_as_well() -> None:
    assert given().until(1.5).answer("all").until(15).kinds("all") == ["scheduled", "scheduled reminder watch"]


def test_an_escalation_answered_in_time_is_not_late() -> None:
    world = given().until(2.5).answer("all").until(15)
    assert world.kinds("all")[-1] == "scheduled escalation lead"
    assert world.acknowledgements()[0]["late"] is False


def test_an_exhausted_chase_begins_anew_with_the_next_asking_alert() -> None:
    world = given().until(17.5)
    assert world.kinds("cyber") == ["scheduled", "scheduled reminder watch", "opened", "opened reminder watch"]


def test_a_withdrawal_ends_the_chase_and_is_chased_itself() -> None:
    world = given().withdraw().until(10)
    assert world.kinds("cyber") == ["scheduled", "withdrawn", "withdrawn reminder watch"]


def test_no_longer_addressed_ends_the_chase() -> None:
    world = given().announce(audience={"mode": "matching", "exclude": ["cyber"]}).until(10)
    assert world.kinds("cyber") == ["scheduled", "no-longer-addressed"]


def test_what_is_unanswered_at_the_closing_is_overdue_and_chased_no_more() -> None:
    world = World().announce(early_access={"opens": "PT2H"}).until(29.95).until(40)
    closed = [o for o in world.acknowledgements("overdue") if o["closed"]]
    assert {o["agency"] for o in closed} == {"all", "cyber"}
    assert world.kinds("cyber")[-1] == "closed"


def test_participating_implies_received() -> None:
    world = given().answer("cyber", "participating").until(15)
    assert world.kinds("cyber") == ["scheduled"]
    assert world.acknowledgements()[0]["disposition"] == "participating"


def test_a_disposition_may_change_until_the_window_closes() -> None:
    world = given().answer("cyber", "participating").answer("cyber", "declined").until(17)
    world.answer("cyber", "participating")
    assert world.receipt("cyber")["outcome"] == "accepted"
    assert [a["disposition"] for a in world.acknowledgements()] == ["participating", "declined", "participating"]


def test_a_disposition_after_the_closing_is_too_late() -> None:
    world = given().until(31)
    opened = next(a["alert_id"] for a in world.alerts("cyber") if a["kind"] == "opened")
    assert world.answer("cyber", "participating", alert=opened).receipt("cyber")["codes"] == ["too_late"]


def test_declined_ends_the_chasing_of_this_life_and_material_changes_are_still_told() -> None:
    world = given().answer("cyber", "declined").announce(handling="anew").until(20)
    assert world.kinds("cyber") == ["scheduled", "rescheduled", "opened"]


def test_a_withdrawal_is_chased_also_after_declined() -> None:
    world = given().answer("cyber", "declined").withdraw().until(3)
    assert world.kinds("cyber") == ["scheduled", "withdrawn", "withdrawn reminder watch"]


def test_finished_comes_after_participating() -> None:
    world = given().answer("cyber", "finished")
    assert world.receipt("cyber")["codes"] == ["illegal_order"]
    world.answer("cyber", "participating").answer("cyber", "finished")
    assert world.receipt("cyber")["outcome"] == "accepted"


def test_finished_is_welcome_after_closing_and_refused_thirty_days_later() -> None:
    world = given().answer("cyber", "participating").until(31).answer("cyber", "finished")
    assert world.receipt("cyber")["outcome"] == "accepted"
    world = given().answer("cyber", "participating").until(61).answer("cyber", "finished")
    assert world.receipt("cyber")["codes"] == ["too_late"]


def test_finished_stays_possible_after_the_offer_was_withdrawn() -> None:
    world = given().answer("cyber", "participating").until(17).announce(early_access=None)
    opened = next(a["alert_id"] for a in world.alerts("cyber") if a["kind"] == "opened")
    assert world.answer("cyber", "finished", alert=opened).receipt("cyber")["outcome"] == "accepted"


@pytest.mark.parametrize("disposition", ["participating", "declined"])
def test_where_only_received_is_asked_a_disposition_is_out_of_order(disposition: str) -> None:
    assert given().withdraw().answer("cyber", disposition).receipt("cyber")["codes"] == ["illegal_order"]


def test_an_alert_that_was_never_sent_to_this_agency_is_unknown_whoever_else_got_it() -> None:
    world = given()
    world.announce("other", reference="m-2", audience={"mode": "listed", "agencies": ["drills"]})
    assert world.answer("drills", alert=first(world)).receipt("drills")["codes"] == ["unknown_alert"]


def test_answers_to_an_alert_still_on_its_way_wait_for_it() -> None:
    world = World()
    world.down.add("acknowledgements")
    world.announce().answer("cyber")
    world.down.clear()
    assert world.settle().receipt("cyber")["outcome"] == "accepted"


def test_an_answer_to_a_superseded_alert_is_recorded_but_does_not_answer_the_newer() -> None:
    world = given()
    old = first(world)
    world.announce(handling="anew").answer("cyber", alert=old).until(10)
    assert world.receipt("cyber")["codes"] == ["superseded"]
    assert world.acknowledgements()[0]["superseded"] is True
    assert "rescheduled reminder watch" in world.kinds("cyber")


def test_after_a_material_change_dispositions_stand_and_received_is_asked_anew() -> None:
    world = given().answer("cyber", "participating").announce(handling="anew").until(3)
    assert "rescheduled reminder watch" in world.kinds("cyber")
    assert world.answer("cyber", "finished").receipt("cyber")["outcome"] == "accepted"


def test_in_a_new_life_old_answers_do_not_count() -> None:
    world = given().answer("cyber", "participating").withdraw().announce()
    assert world.answer("cyber", "finished").receipt("cyber")["codes"] == ["illegal_order"]
    assert "scheduled reminder watch" in world.until(3).kinds("cyber")


def test_answered_after_closing_is_recorded_with_late() -> None:
    world = given().until(31)
    opened = next(a["alert_id"] for a in world.alerts("cyber") if a["kind"] == "opened")
    world.answer("cyber", alert=opened)
    assert world.acknowledgements()[-1]["late"] is True


def test_closing_soon_may_be_answered_and_nobody_is_chased_for_it() -> None:
    world = given().until(16).answer("cyber", "participating").until(28).answer("cyber", "finished")
    assert world.receipt("cyber")["outcome"] == "accepted"
    assert [kind for kind in world.kinds("cyber") if kind.startswith("closing-soon")] == ["closing-soon"]


def test_a_reminder_whose_alert_is_no_longer_the_latest_that_asks_is_dropped() -> None:
    world = given()
    old = world.alerts("cyber")[0]
    world.announce(handling="anew")
    for alert_id, told in ((old["alert_id"], 2), (world.alerts("cyber")[-1]["alert_id"], 3)):
        reminder = ReminderDue(
            release_id=old["release_id"],
            agency="cyber",
            alert_id=alert_id,
            life=1,
            tier="watch",
            chase="reminder",
            due_at=world.now,
            exercise=False,
        )
        event = reminder.stamped(cause=alert_id, ordinal=0, source="/services/acknowledgements", time=world.now)
        world.raw("reminders", encode(event))
        assert len(world.alerts("cyber")) == told


def test_a_restart_inside_every_wait_repeats_no_reminder() -> None:
    world = given()
    for step in range(1, 60):
        for name in world.ledgers:
            world.crash(name)
        world.until(step / 4)
    assert world.kinds("cyber") == ["scheduled", "scheduled reminder watch"]
    assert len(world.acknowledgements("overdue")) == 5


def test_an_alert_that_comes_after_its_windows_end_is_not_chased() -> None:
    world = given().until(0.5).answer("cyber").until(15)
    world.down.add("notifier")
    world.until(31)  # it opens and closes meanwhile
    world.down.clear()
    assert world.settle().kinds("cyber") == ["scheduled", "opened", "closing-soon", "closed"]
    assert world.until(60).kinds("cyber") == ["scheduled", "opened", "closing-soon", "closed"]


def test_nothing_that_an_agency_does_changes_announcements_or_windows() -> None:
    silent, busy = given(), given()
    silent.until(40)
    busy.answer("cyber", "participating").answer("all", "declined").until(17).answer("cyber").until(20)
    busy.answer("cyber", "declined").until(31).answer("cyber", "finished").until(40)
    for topic in ("announcements", "windows"):
        assert [r.value for r in busy.logs[topic]] == [r.value for r in silent.logs[topic]]
