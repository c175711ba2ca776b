"""Cases decided about what push endpoints are asked to deliver, each as given – when – then.

Agency `all` has `desk` (a full webhook) and `mail` (of openings and closings only) in its tier `watch`, `chat` and
`lead` (a full webhook) in `lead`; `cyber` has one thin webhook; the others have none.
"""

from typing import Any

import pytest

from schemas.delivery import EndpointDisabled, EndpointFailing, EndpointRecovered, delivery_id
from tests.simulation.world import World, at, endpoints, pushed, registry

TEN_MINUTES = 10 / 24 / 60


def given(**changes: Any) -> World:
    """m-1 announced on day 0; every agency has its endpoints."""
    return World().apply(pushed(version=2)).announce(**changes)


def agencies(**changes: dict[str, Any]) -> dict[str, Any]:
    """The agencies with endpoints, some changed."""
    known = pushed().model_dump(mode="json", exclude_none=True)["agencies"]
    return {name: agency | changes.get(name, {}) for name, agency in known.items()}


def test_each_endpoint_of_the_alerts_tier_that_wants_the_kind_is_asked() -> None:
    world = given()
    assert world.asked("all") == ["desk scheduled"]
    assert world.asked("cyber") == ["thin scheduled"]
    (request,) = world.requests("all/")
    alert = world.alerts("all")[0]
    assert request["delivery_id"] == delivery_id(alert["alert_id"], "all", "desk")
    assert (request["tier"], request["requested_at"], request["routine"]) == ("watch", at(0), False)
    assert [record.key for record in world.logs["deliveries"]] == [b"all/desk", b"cyber/thin"]


def test_without_endpoints_nothing_is_asked_and_the_state_says_nothing_of_it() -> None:
    world = World().announce().answer("all").until(40)
    assert world.logs["deliveries"] == []
    assert not [record for record in world.logs["state.notifier"] if b'"push"' in (record.value or b"")]


def test_alerts_and_receipts_are_the_same_bytes_with_and_without_endpoints() -> None:
    def lived(version: Any) -> World:
        world = World().apply(version(version=2)).announce().answer("all").announce(handling="anew").until(3)
        return world.announce(audience={"mode": "matching", "exclude": ["cyber"]}).until(40)

    told, silent = lived(pushed), lived(registry)
    for topic in ("alerts", "alerts.all", "alerts.cyber", "receipts.lab", "receipts.all"):
        assert [r.value for r in told.logs[topic]] == [r.value for r in silent.logs[topic]]
    assert told.requests()


def test_only_a_full_webhook_is_given_the_content_and_never_of_tlp_red() -> None:
    world = given().until(1 / 24)
    assert {r["endpoint"]: "content" in r["alert"] for r in world.requests()} == {
        "desk": True,
        "thin": False,
        "chat": False,
        "lead": True,
    }
    assert world.requests("all/lead")[0]["alert"] == world.alerts("all")[0]
    assert not [r for r in given(tlp="TLP:RED").until(1).requests() if "content" in r["alert"]]


def test_an_endpoint_leaves_out_kinds_but_never_a_change_a_withdrawal_or_a_reminder() -> None:
    declared = {"endpoints": {"mail": endpoints()["all"]["mail"]}, "tiers": ["watch"]}
    world = World().apply(pushed(version=2, agencies=agencies(all=declared))).announce().until(1).answer("all")
    world.announce(handling="anew").until(20).withdraw()
    assert world.kinds("all") == [
        "scheduled",
        "scheduled reminder watch",
        "rescheduled",
        "rescheduled reminder watch",
        "opened",
        "opened reminder watch",
        "withdrawn",
    ]
    assert [r["alert"]["sequence"] for r in world.requests("all/mail")] == [2, 3, 4, 5, 6, 7]


def test_an_opening_on_short_notice_reaches_an_endpoint_that_leaves_it_out() -> None:
    assert "mail scheduled" in given(trusted_partner_release_at=at(16)).asked("all")


@pytest.mark.parametrize(
    ("change", "routine"),
    [
        ({"trusted_partner_release_at": at(30.9)}, True),
        ({"trusted_partner_release_at": at(29.5), "stated_at": at(0)}, True),
        ({"trusted_partner_release_at": at(31)}, False),
        ({"trusted_partner_release_at": at(30.9), "handling": "with care"}, False),
        ({"trusted_partner_release_at": at(30.9), "capabilities": ["cyber", "biology"]}, False),
        ({"early_access": {"opens": "P14D", "access": {"how": "ask"}}}, False),
        ({"early_access": {"opens": "P14D", "closes_at": at(29.5)}}, True),
        ({"early_access": {"opens": "P12D"}}, False),
        ({"tlp": "TLP:GREEN"}, False),
    ],
)
def test_a_move_of_less_than_a_day_and_nothing_else_may_wait(change: dict[str, Any], routine: bool) -> None:
    (request,) = given().announce(**change).requests("cyber/")[1:]
    assert (request["alert"]["kind"], request["routine"]) == ("rescheduled", routine)


def test_closing_may_wait_but_no_opening_withdrawal_or_reminder() -> None:
    world = given().until(31)
    waits = {(r["alert"]["kind"], r["alert"].get("chase")): r["routine"] for r in world.requests("cyber/")}
    assert {told for told, routine in waits.items() if routine} == {("closing-soon", None), ("closed", None)}
    assert len(waits) == 6
    moved = given().announce(trusted_partner_release_at=at(30.5)).until(2)
    assert [(r["alert"].get("chase"), r["routine"]) for r in moved.requests("cyber/")][1:] == [
        (None, True),
        ("reminder", False),
    ]
    assert given().withdraw().requests("cyber/")[-1]["routine"] is False


def test_when_nobody_of_a_tier_has_taken_it_within_ten_minutes_the_next_tier_is_asked_with_the_same_alert() -> None:
    world = given().until(TEN_MINUTES - 1e-6)
    assert world.asked("all") == ["desk scheduled"]
    world.until(TEN_MINUTES)
    assert world.asked("all") == ["desk scheduled", "chat scheduled", "lead scheduled"]
    first, *later = world.requests("all/")
    assert {r["alert"]["alert_id"] for r in later} == {first["alert"]["alert_id"]}
    assert {r["tier"] for r in later} == {"lead"}
    assert world.until(0.9).asked("all") == ["desk scheduled", "chat scheduled", "lead scheduled"]


def test_the_time_to_wait_is_the_registrys() -> None:
    policy = {"fallback_after": "PT1H"}
    world = World().apply(pushed(version=2, policy=policy)).announce().until(TEN_MINUTES)
    assert world.asked("all") == ["desk scheduled"]
    assert len(world.until(1 / 24).asked("all")) == 3


@pytest.mark.parametrize("deed", ["success", "answer", "newer"])
def test_a_success_an_answer_or_a_newer_alert_ends_the_waiting(deed: str) -> None:
    world = given()
    if deed == "success":
        world.outcome(world.requests("all/")[0])
    elif deed == "answer":
        world.answer("all")
    else:
        world.announce(trusted_partner_release_at=at(30.5))
    assert not [said for said in world.until(0.5).asked("all") if said.startswith(("chat", "lead"))]


def test_a_newer_alert_that_no_endpoint_wants_ends_the_waiting_too() -> None:
    picky = endpoints()["all"] | {"desk": endpoints()["all"]["desk"] | {"kinds": ["scheduled"]}}
    del picky["mail"]
    slow = {"fallback_after": "P5D", "answer_within": "P20D", "answer_within_soon": "P20D"}
    version = pushed(version=2, policy=slow, agencies=agencies(all={"endpoints": picky}))
    world = World().apply(version).announce(early_access={"opens": at(4)}).until(6)
    assert world.kinds("all") == ["scheduled", "opened"]
    assert world.asked("all") == ["desk scheduled", "desk not 1: superseded"]


def test_a_late_success_of_an_earlier_tier_ends_the_waiting_too() -> None:
    tiers = ["watch", "lead", "chief"]
    three = endpoints()["all"] | {"chief": endpoints()["all"]["chat"] | {"tier": "chief"}}
    version = pushed(version=2, agencies=agencies(all={"tiers": tiers, "endpoints": three}))
    world = World().apply(version).announce().until(1.5 * TEN_MINUTES)
    world.outcome(world.requests("all/desk")[0])
    assert "chief scheduled" not in world.until(0.5).asked("all")
    world = World().apply(version).announce().until(2 * TEN_MINUTES)
    assert "chief scheduled" in world.asked("all")


@pytest.mark.parametrize("reason", ["refused", "disabled", "removed", "backlog-full"])
def test_once_a_whole_tier_is_abandoned_for_good_the_next_is_asked_at_once(reason: Any) -> None:
    world = given(trusted_partner_release_at=at(16))
    desk, mail = world.requests("all/")
    world.outcome(desk, reason)
    assert world.requests("all/lead") == []
    world.outcome(mail, reason)
    assert [r["requested_at"] for r in world.requests("all/lead")] == [at(0)]
    assert len(world.until(0.1).requests("all/lead")) == 1


@pytest.mark.parametrize("reason", ["superseded", "acknowledged", "moot"])
def test_what_is_abandoned_because_it_is_out_of_date_hurries_nobody(reason: Any) -> None:
    world = given()
    assert world.outcome(world.requests("all/")[0], reason).requests("all/lead") == []


def test_a_routine_alert_waits_for_nobody_and_nobody_for_it() -> None:
    world = given().until(26.9)
    before = len(world.asked("all"))
    assert world.until(27.5).asked("all")[before:][-1] == "desk closing-soon"
    assert not [r for r in world.requests("all/lead") if r["alert"]["kind"] == "closing-soon"]


def test_an_answer_takes_back_what_is_still_pending_everywhere_and_once() -> None:
    world = given().until(TEN_MINUTES)
    world.outcome(world.requests("all/chat")[0])
    world.answer("all").answer("all", "participating")
    assert world.asked("all")[3:] == ["desk not 1: acknowledged", "lead not 1: acknowledged"]


def test_an_answer_to_a_reminder_takes_back_what_it_repeats() -> None:
    world = given().until(2)
    assert world.kinds("all")[-1] == "scheduled escalation lead"
    world.answer("all", alert=world.alerts("all")[0]["alert_id"])
    assert world.asked("all")[-4:] == [f"{each} not 3: acknowledged" for each in ("chat", "desk", "lead", "mail")]


def test_an_answer_leaves_later_news_that_asks_nothing_pending() -> None:
    world = given().until(27.5)
    asking = [alert for alert in world.alerts("cyber") if alert.get("asks")][-1]
    before = world.asked("cyber")
    assert world.answer("cyber", alert=asking["alert_id"]).asked("cyber") == before
    world.answer("cyber", "finished")  # refused: it does not take part
    assert world.asked("cyber") == before
    world.answer("cyber", "received")
    assert world.asked("cyber")[len(before) :] == [f"thin not {world.alerts('cyber')[-1]['sequence']}: acknowledged"]


def test_a_newer_alert_takes_back_what_is_pending_where_it_is_not_told_itself() -> None:
    world = given().until(TEN_MINUTES).withdraw()
    assert world.asked("all")[3:6] == ["chat not 1: superseded", "lead not 1: superseded", "desk withdrawn"]


def test_an_escalation_goes_to_the_next_tier_and_leaves_the_first_its_own() -> None:
    world = given().until(1.5)
    before = len(world.asked("all"))
    assert world.until(2).asked("all")[before:] == ["chat scheduled", "lead scheduled"]
    assert world.requests("all/lead")[-1]["alert"]["chase"] == "escalation"


def test_a_new_life_takes_back_what_is_pending_of_the_old_one() -> None:
    world = given().withdraw().until(TEN_MINUTES).announce(handling="anew")
    assert world.window()["life"] == 2
    taken_back = [f"{each} not 2: superseded" for each in ("chat", "lead", "mail")]
    assert world.asked("all")[-4:] == [*taken_back, "desk scheduled"]


def test_a_life_that_begins_long_after_takes_back_what_is_pending_all_the_same() -> None:
    world = given().withdraw().until(70)
    (state,) = world.ledgers["notifier"].states.values()
    assert '"window"' not in state.model_dump_json(exclude_none=True)
    before = len(world.asked("all"))
    world.announce(trusted_partner_release_at=at(120))
    last = len(world.alerts("all")) - 1
    assert world.asked("all")[before:] == [
        *(f"{each} not {last}: superseded" for each in ("chat", "lead", "mail")),
        "desk scheduled",
    ]


def test_each_agency_waits_its_own_ten_minutes() -> None:
    both = {"tiers": ["watch", "lead"], "endpoints": endpoints()["all"]}
    listed = {"mode": "listed", "agencies": ["all"]}
    world = World().apply(pushed(version=2, agencies=agencies(cyber=both))).announce(audience=listed)
    world.until(TEN_MINUTES / 2).announce(audience=listed | {"agencies": ["all", "cyber"]}).until(TEN_MINUTES)
    assert (len(world.requests("all/lead")), len(world.requests("cyber/lead"))) == (1, 0)
    assert len(world.until(1.5 * TEN_MINUTES).requests("cyber/lead")) == 1


def test_who_is_not_addressed_any_more_hears_nothing_of_the_window_from_the_next_tier() -> None:
    world = given().announce(audience={"mode": "matching", "exclude": ["all"]}).until(TEN_MINUTES)
    request = world.requests("all/lead")[-1]
    assert request["alert"]["kind"] == "no-longer-addressed"
    assert "content" not in request["alert"]


def test_a_withdrawal_that_falls_back_in_a_new_life_carries_nothing_of_it() -> None:
    excluded = {"mode": "matching", "exclude": ["all"]}
    world = given().withdraw().announce(audience=excluded, handling="for others").until(TEN_MINUTES)
    request = world.requests("all/lead")[-1]
    assert (request["alert"]["kind"], request["alert"]["life"], world.window()["life"]) == ("withdrawn", 1, 2)
    assert "content" not in request["alert"]


def test_an_agency_that_leaves_meanwhile_is_asked_nothing_more() -> None:
    world = given()
    left = {name: agency for name, agency in agencies().items() if name != "all"}
    world.apply(pushed(version=3, agencies=left)).until(1)
    assert world.asked("all") == ["desk scheduled", "desk not 1: superseded"]


def test_a_tier_without_any_endpoint_is_passed_over_at_once_but_not_one_that_does_not_want_the_kind() -> None:
    known = endpoints()["all"]
    lead_only = {"endpoints": {"chat": known["chat"]}}
    assert World().apply(pushed(version=2, agencies=agencies(all=lead_only))).announce().asked("all") == [
        "chat scheduled"
    ]
    unwanted = {"endpoints": {"mail": known["mail"], "chat": known["chat"]}}
    world = World().apply(pushed(version=2, agencies=agencies(all=unwanted))).announce()
    assert world.until(0.5).asked("all") == []


def test_an_endpoint_that_moved_to_the_next_tier_is_not_asked_twice() -> None:
    world = given()
    moved = endpoints()["all"] | {"desk": endpoints()["all"]["desk"] | {"tier": "lead"}}
    world.apply(pushed(version=3, agencies=agencies(all={"endpoints": moved}))).until(TEN_MINUTES)
    assert world.asked("all") == ["desk scheduled", "chat scheduled", "lead scheduled"]


def test_how_an_endpoint_is_makes_no_state() -> None:
    world = given()
    before = set(world.ledgers["notifier"].states)
    said: dict[str, Any] = {"agency": "all", "endpoint": "desk", "at": world.now, "since": world.now}
    world.tell("delivery-outcomes", EndpointFailing(**said, reason="timeout"))
    world.tell("delivery-outcomes", EndpointRecovered(**said))
    world.tell("delivery-outcomes", EndpointDisabled(**said))
    assert set(world.ledgers["notifier"].states) == before
    assert world.logs["dead-letters"] == []


def test_once_all_is_settled_nothing_of_it_is_kept() -> None:
    world = given()
    for request in world.requests():
        world.outcome(request)
    (state,) = world.ledgers["notifier"].states.values()
    assert '"push"' not in state.model_dump_json(exclude_none=True)


def test_what_waits_is_kept_without_content_and_outlives_a_crash() -> None:
    world = given(handling="verbatim words")
    (state,) = world.ledgers["notifier"].states.values()
    kept = state.model_dump_json(include={"agencies"}, exclude_none=True)
    assert '"push"' in kept
    assert "verbatim" not in kept
    assert "verbatim" in str(world.crash("notifier").until(TEN_MINUTES).requests("all/lead"))


def test_a_notifier_that_was_down_falls_back_when_it_is_up_unless_it_was_taken_meanwhile() -> None:
    for taken in (False, True):
        world = given()
        world.down.add("notifier")
        world.until(TEN_MINUTES / 2)
        if taken:
            world.outcome(world.requests("all/")[0])
        world.until(1)
        world.down.clear()
        assert bool(world.settle().requests("all/lead")) is not taken
