"""The announcements decider alone: what a lab is answered and what is recorded, each as given – when – then."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.announcement import AnnouncementRevised
from schemas.command import RegistryChanged, TimerDue
from schemas.envelope import encode
from schemas.receipt import Answered, PlannedWindow, ReceiptAccepted, ReceiptRefused, ReceiptUnchanged
from schemas.statement import MATERIAL
from services.announcements.decide import decide
from tests.scale import scaled
from tests.simulation.world import START, at, day, registry
from tests.unit.window_lives import Life


def given_one() -> Life:
    """m-1 announced on day 0: it opens on day 16 and closes with the release on day 30."""
    return Life().announce()


def revised(life: Life) -> AnnouncementRevised:
    """The last announcement event, which revised."""
    last = life.announcements[-1]
    assert isinstance(last, AnnouncementRevised)
    return last


def planned(life: Life) -> PlannedWindow:
    """The window that the last receipt told."""
    receipt = life.receipt
    assert isinstance(receipt, ReceiptAccepted | ReceiptUnchanged)
    assert receipt.window is not None
    return receipt.window


def reasons(life: Life) -> list[tuple[str, str | None]]:
    """Code and field of each reason of the last receipt."""
    assert isinstance(life.receipt, ReceiptRefused)
    return [(reason.code, reason.field) for reason in life.receipt.reasons]


def on_the_wire(answered: Answered) -> bytes:
    """The receipt as it is written."""
    return encode(answered.stamped(cause="another", ordinal=7, source="/services/announcements", time=day(9)))


# ---- recorded and revised


def test_the_first_statement_is_recorded_and_answered_with_its_window() -> None:
    life = given_one()
    assert (life.recorded, life.outcome, life.codes) == (["recorded"], "accepted", [])
    assert (life.receipt.revision, life.receipt.life, life.receipt.reference) == (1, 1, "m-1")
    assert (life.receipt.participant, life.receipt.event_id) == ("lab", "e1")
    assert planned(life) == PlannedWindow(status="scheduled", opens_at=day(16), closes_at=day(30))
    assert (life.announcement.lab, life.announcement.recorded_at) == ("lab", day(0))


def test_a_changed_statement_is_revised_with_the_next_revision_number() -> None:
    life = given_one().until(3).announce(trusted_partner_release_at=at(40))
    assert (life.recorded, life.receipt.revision, life.receipt.life) == (["recorded", "revised"], 2, 1)
    assert (planned(life).opens_at, planned(life).closes_at) == (day(26), day(40))
    assert life.announcement.recorded_at == day(3)


@pytest.mark.parametrize(
    "changes",
    [
        {"trusted_partner_release_at": at(40)},
        {"public_release_at": at(45)},
        {"embargo_until": at(35)},
        {"early_access": {"opens": "P14D", "access": {"how": "by phone"}}},
        {"capabilities": ["biology"]},
        {"audience": {"mode": "listed", "agencies": ["all"]}},
        {"tlp": "TLP:RED"},
        {"handling": "for the watch desk"},
    ],
)
def test_dates_access_capabilities_audience_tlp_and_handling_are_material(changes: dict[str, Any]) -> None:
    life = given_one().announce(**changes)
    assert (revised(life).changed, revised(life).material) == (tuple(changes), True)
    assert isinstance(life.receipt, ReceiptAccepted)
    assert life.receipt.changed == tuple(changes)
    assert set(changes) <= MATERIAL


def test_what_a_model_is_called_is_recorded_without_being_material() -> None:
    life = given_one().announce(model={"name": "Model One", "summary": "said better"})
    assert (life.outcome, revised(life).changed, revised(life).material) == ("accepted", ("model",), False)
    assert (life.receipt.revision, life.heard) == (2, ["scheduled"])


def test_one_material_field_makes_the_whole_revision_material() -> None:
    life = given_one().announce(model={"name": "Model Two"}, handling="so")
    assert (revised(life).changed, revised(life).material) == (("model", "handling"), True)


def test_the_same_statement_again_is_unchanged_and_tells_what_stands() -> None:
    life = given_one().until(1).announce()
    assert (life.outcome, life.recorded, life.receipt.revision) == ("unchanged", ["recorded"], 1)
    assert planned(life) == PlannedWindow(status="scheduled", opens_at=day(16), closes_at=day(30))


def test_an_unchanged_statement_is_answered_with_the_window_as_it_stands_by_now() -> None:
    assert planned(given_one().until(17).announce()).status == "open"
    assert planned(given_one().until(31).announce()).status == "closed"


def test_only_the_labs_own_time_being_new_is_unchanged() -> None:
    life = Life().announce(stated_at=at(-2)).announce(stated_at=at(-1))
    assert (life.outcome, life.recorded) == ("unchanged", ["recorded"])


# ---- withdrawn and lives


def test_a_withdrawal_is_recorded_with_the_next_revision_number() -> None:
    life = given_one().until(2).withdraw()
    assert (life.recorded, life.outcome, life.codes) == (["recorded", "withdrawn"], "accepted", [])
    assert (life.receipt.revision, life.receipt.life, planned(life).status) == (2, 1, "withdrawn")
    assert life.announcement.statement.reference == "m-1"


def test_withdrawn_twice_is_unchanged() -> None:
    life = given_one().withdraw().withdraw()
    assert (life.outcome, life.receipt.revision, planned(life).status) == ("unchanged", 2, "withdrawn")
    assert life.recorded == ["recorded", "withdrawn"]


def test_withdrawn_and_announced_again_is_recorded_as_a_new_life_even_with_the_same_words() -> None:
    life = given_one().withdraw().announce()
    assert life.recorded == ["recorded", "withdrawn", "recorded"]
    assert (life.outcome, life.receipt.revision, life.receipt.life) == ("accepted", 3, 2)
    assert planned(life).status == "scheduled"


def test_an_offer_after_a_removed_one_is_a_new_life() -> None:
    life = given_one().announce(early_access=None)
    assert (life.receipt.life, planned(life).status, life.recorded[-1]) == (1, "withdrawn", "revised")
    assert life.announce().receipt.life == 2


def test_an_offer_after_not_offered_is_the_same_life() -> None:
    life = Life().announce(early_access=None)
    assert (life.outcome, life.codes, planned(life).status) == ("accepted", [], "not-offered")
    assert (life.announce().receipt.life, planned(life).status) == (1, "scheduled")


def test_a_statement_after_closed_that_closes_in_the_future_is_a_new_life() -> None:
    life = given_one().until(31).announce(trusted_partner_release_at=at(60))
    assert (life.receipt.life, planned(life).status, life.codes) == (2, "scheduled", [])


def test_any_other_statement_after_closed_is_only_recorded_and_says_so() -> None:
    life = given_one().until(31).announce(handling="late")
    assert (life.outcome, life.recorded[-1], life.receipt.life) == ("accepted", "revised", 1)
    assert "after_the_end" in life.codes
    assert planned(life) == PlannedWindow(status="closed", opens_at=day(16), closes_at=day(30))


def test_a_withdrawal_after_closed_is_only_recorded_and_says_so() -> None:
    life = given_one().until(31).withdraw()
    assert (life.outcome, life.recorded[-1], life.codes) == ("accepted", "withdrawn", ["after_the_end"])
    assert planned(life).status == "closed"
    assert life.withdraw().outcome == "unchanged"


def test_withdrawing_what_was_never_announced_is_refused() -> None:
    life = Life().withdraw()
    assert (reasons(life), life.recorded) == ([("unknown_release", "reference")], [])
    assert (life.receipt.revision, life.receipt.life) == (None, None)
    assert reasons(life.withdraw()) == [("unknown_release", "reference")]


def test_a_refused_withdrawal_does_not_stand_in_the_way_of_the_announcement() -> None:
    assert Life().withdraw().announce().receipt.revision == 1


# ---- warnings


def test_a_slip_while_open_tells_that_the_window_stays_open() -> None:
    life = given_one().until(20).announce(trusted_partner_release_at=at(50))
    assert planned(life) == PlannedWindow(status="open", opens_at=day(16), closes_at=day(50))
    assert life.codes == ["already_open"]


def test_pulled_forward_past_the_opening_tells_of_short_notice() -> None:
    life = given_one().until(5).announce(trusted_partner_release_at=at(15))
    assert (planned(life).status, life.codes) == ("open", ["short_notice"])


def test_a_release_pulled_forward_into_the_past_tells_why_the_window_is_withdrawn() -> None:
    life = given_one().until(5).announce(trusted_partner_release_at=at(4))
    assert (planned(life).status, life.codes) == ("withdrawn", ["release_in_the_past", "release_reached"])


def test_a_release_pulled_forward_into_the_past_closes_an_open_window() -> None:
    life = given_one().until(20).announce(trusted_partner_release_at=at(19))
    assert (planned(life).status, life.codes) == ("closed", ["release_in_the_past"])


def test_no_time_left_is_a_warning_and_no_refusal() -> None:
    life = Life().announce(early_access={"opens": at(31)})
    assert (life.outcome, planned(life).status, life.codes) == ("accepted", "not-offered", ["no_time_left"])
    told = given_one().announce(early_access={"opens": at(31)})
    assert (told.outcome, planned(told).status, told.codes) == ("accepted", "withdrawn", ["no_time_left"])


def test_another_opening_while_open_is_ignored_with_a_warning_that_tells_which_applies() -> None:
    life = given_one().until(17).announce(early_access={"opens": "P7D"})
    warning = life.notices[0]
    assert (life.codes, planned(life).opens_at) == (["already_open"], day(16))
    assert warning.model_dump()["applies"] == day(16)


def test_more_than_thirty_days_is_clamped_with_a_warning_that_tells_which_applies() -> None:
    life = Life().announce(trusted_partner_release_at=at(60), early_access={"opens": "P45D"})
    assert (life.outcome, life.codes, planned(life).opens_at) == ("accepted", ["opening_clamped"], day(30))
    assert life.notices[0].model_dump()["applies"] == day(30)


def test_a_closing_after_the_release_is_clamped_with_a_warning() -> None:
    life = Life().announce(early_access={"opens": "P14D", "closes_at": at(31)})
    assert (life.outcome, life.codes, planned(life).closes_at) == ("accepted", ["closing_clamped"], day(30))


def test_an_unchanged_statement_is_warned_again() -> None:
    life = Life().announce(capabilities=["cybr"]).announce(capabilities=["cybr"])
    assert (life.outcome, life.codes) == ("unchanged", ["unknown_capability"])


def test_an_unknown_capability_is_taken_with_a_warning_that_names_the_nearest_known() -> None:
    life = Life().announce(capabilities=["cyber", "cybr"])
    assert (life.outcome, life.codes) == ("accepted", ["unknown_capability"])
    assert "cybr is not in the registry" in life.notices[0].message
    assert life.notices[0].message.endswith("did you mean cyber?")


def test_an_unknown_capability_like_no_other_names_none() -> None:
    life = Life().announce(capabilities=["quux-zzz"])
    assert life.codes == ["unknown_capability"]
    assert "did you mean" not in life.notices[0].message


def test_a_capability_that_the_registry_has_learnt_gives_no_warning() -> None:
    known = registry(version=2, capabilities={"cybr": "now known"})
    assert Life().apply(known).announce(capabilities=["cybr"]).codes == []


@pytest.mark.parametrize(
    ("audience", "field"),
    [
        ({"mode": "listed", "agencies": ["cyber", "cybr"]}, "audience.agencies"),
        ({"mode": "matching", "exclude": ["cybr"]}, "audience.exclude"),
    ],
)
def test_an_unknown_agency_is_taken_with_a_warning(audience: dict[str, Any], field: str) -> None:
    life = Life().announce(audience=audience)
    assert (life.outcome, life.codes, life.notices[0].field) == ("accepted", ["unknown_agency"], field)


# ---- refusals


def test_an_older_statement_is_stale_and_changes_nothing() -> None:
    life = Life().announce(stated_at=at(-1))
    before = life.announcement
    life.announce(stated_at=at(-2), handling="older")
    assert reasons(life) == [("stale", "stated_at")]
    assert (life.announcement, life.recorded, life.receipt.revision) == (before, ["recorded"], 1)


def test_an_older_withdrawal_is_stale_and_a_later_one_is_not() -> None:
    life = Life().announce(stated_at=at(-2)).withdraw(stated_at=at(-3))
    assert reasons(life) == [("stale", "stated_at")]
    assert life.withdraw(stated_at=at(-1)).outcome == "accepted"
    assert reasons(life.announce(stated_at=at(-1.5))) == [("stale", "stated_at")]


def test_a_statement_of_the_same_time_is_not_stale() -> None:
    assert Life().announce(stated_at=at(-1)).announce(stated_at=at(-1), handling="so").outcome == "accepted"


def test_without_a_time_of_its_own_the_later_statement_stands() -> None:
    life = Life().announce(stated_at=at(-1)).announce(handling="later")
    assert life.outcome == "accepted"
    assert reasons(life.announce(stated_at=at(-2))) == [("stale", "stated_at")]


def test_an_unchanged_statement_still_counts_for_the_order() -> None:
    life = Life().announce(stated_at=at(-3)).announce(stated_at=at(-1)).announce(stated_at=at(-2), handling="older")
    assert reasons(life) == [("stale", "stated_at")]


def test_a_refused_statement_does_not_count_for_the_order() -> None:
    secret = {"opens": "P14D", "access": {"how": "password: hunter2hunter2"}}
    life = Life().announce(stated_at=at(-3)).announce(stated_at=at(-1), early_access=secret)
    assert life.announce(stated_at=at(-2), handling="so").outcome == "accepted"


@pytest.mark.parametrize("field", ["how", "contact"])
@pytest.mark.parametrize(
    "secret",
    [
        "use AKIAABCDEFGHIJKLMNOP",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "password: hunter2hunter2",
        "https://user:pass@lab.example/",
        "ghp_abcdefghijklmnop1234",
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
        "Bearer abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_a_secret_in_the_access_is_refused_without_repeating_it(field: str, secret: str) -> None:
    life = Life().announce(early_access={"opens": "P14D", "access": {field: secret}})
    assert reasons(life) == [("secret_in_access", f"early_access.access.{field}")]
    assert secret.encode() not in on_the_wire(life.receipts[-1])
    assert (life.recorded, life.windows) == ([], [])


def test_prose_about_secrets_is_none() -> None:
    words = "Ask for the password: by phone. The token: in person. Contact desk@lab.example, https://lab.example/a"
    assert Life().announce(early_access={"opens": "P14D", "access": {"how": words}}).outcome == "accepted"


@pytest.mark.parametrize("first", [True, False])
def test_an_exercise_and_a_real_release_are_never_turned_into_each_other(first: bool) -> None:
    life = Life().announce(exercise=first).announce(exercise=not first)
    assert reasons(life) == [("exercise_changed", "exercise")]
    assert life.announcement.statement.exercise is first
    assert reasons(life.withdraw().announce(exercise=not first)) == [("exercise_changed", "exercise")]


def test_an_exercise_is_marked_in_its_receipts() -> None:
    life = Life().announce(exercise=True).announce(exercise=True).withdraw()
    assert [answered.receipt.exercise for answered in life.receipts] == [True, True, True]


def test_all_reasons_are_told_at_once() -> None:
    life = Life().announce(stated_at=at(-1))
    secret = {"opens": "P14D", "access": {"how": "password: hunter2hunter2"}}
    life.announce(stated_at=at(-2), exercise=True, early_access=secret)
    assert [code for code, _ in reasons(life)] == ["stale", "secret_in_access", "exercise_changed"]


@pytest.mark.parametrize("offer", [{"opens": at(-10)}, {"opens": "P90D"}, {"opens": "P14D", "closes_at": at(-1)}, None])
@pytest.mark.parametrize("instant", [at(-30), at(0), at(500)])
def test_nothing_is_refused_for_what_it_says(offer: dict[str, Any] | None, instant: str) -> None:
    assert Life().announce(trusted_partner_release_at=instant, early_access=offer).outcome == "accepted"


# ---- repeats


def test_the_same_event_again_gets_the_same_receipt_byte_for_byte() -> None:
    life = Life().announce(event_id="ci-7").announce(handling="changed").until(1)
    life.announce(event_id="ci-7", repeat=True)
    assert on_the_wire(life.receipts[-1]) == on_the_wire(life.receipts[0])
    assert (life.recorded, life.announcement.revision) == (["recorded", "revised"], 2)
    assert life.announcement.statement.handling == "changed"


def test_a_refusal_and_a_withdrawal_repeat_their_receipts_too() -> None:
    life = Life().withdraw(event_id="w").announce().withdraw(event_id="w2").until(1)
    life.withdraw(event_id="w", repeat=True).withdraw(event_id="w2", repeat=True)
    wired = [on_the_wire(answered) for answered in life.receipts]
    assert wired[3:] == [wired[0], wired[2]]


def test_a_repeat_whose_answer_is_long_forgotten_is_unchanged_and_records_nothing() -> None:
    life = Life().announce(event_id="ci-7")
    for number in range(20):
        life.announce(handling=f"said {number}")
    life.announce(event_id="ci-7", repeat=True)
    assert (life.outcome, life.receipt.revision) == ("unchanged", 21)
    assert life.announcement.statement.handling == "said 19"


def test_time_and_the_registry_alone_record_nothing() -> None:
    life = given_one()
    assert decide(life.announced, RegistryChanged(registry(version=2), "cause"), day(1)) == []
    assert decide(life.announced, TimerDue("opens", day(1), "cause", registry()), day(1)) == []
    assert life.announced is not None
    assert life.announced.next_timer() is None


# ---- whatever happens

DAYS = st.integers(-5, 80)
STATED = st.one_of(st.none(), st.integers(-20, -10).map(at))
OFFERS = st.one_of(
    st.none(),
    st.builds(lambda days: {"opens": f"P{days}D"}, st.integers(0, 60)),
    st.builds(lambda opens, closes: {"opens": at(opens), "closes_at": at(closes)}, DAYS, DAYS),
    st.just({"opens": "P14D", "access": {"how": "password: hunter2hunter2"}}),
)
STATEMENTS = st.fixed_dictionaries(
    {
        "trusted_partner_release_at": DAYS.map(at),
        "early_access": OFFERS,
        "handling": st.sampled_from([None, "so"]),
        "exercise": st.sampled_from([None, None, None, True]),
        "stated_at": STATED,
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("announce"), STATEMENTS),
        st.tuples(st.just("withdraw"), st.fixed_dictionaries({"stated_at": STATED}, optional={})),
        st.tuples(st.just("again"), st.integers(0, 30)),
        st.tuples(st.just("until"), st.sampled_from([0.1, 1, 3, 7, 14])),
    ),
    max_size=20,
)


@settings(max_examples=scaled(100, 5000))
@given(STEPS)
def test_whatever_a_lab_states_is_answered_once_and_never_goes_back(steps: list[tuple[str, Any]]) -> None:
    life, said = Life(), list[tuple[str, dict[str, Any]]]()
    place, stated = (0, 0), START - timedelta(days=365)
    for name, argument in steps:
        match name:
            case "until":
                life.until(life.now + timedelta(days=argument))
                continue
            case "again" if said:
                back = argument % min(len(said), 12)
                kind, words = said[-1 - back]
                getattr(life, kind)(**words, repeat=True)
                first = next(one for one in life.receipts if one.receipt.event_id == words["event_id"])
                assert on_the_wire(life.receipts[-1]) == on_the_wire(first)
            case "announce" | "withdraw":
                words = {key: value for key, value in argument.items() if value is not None or key == "early_access"}
                said.append((name, words | {"event_id": f"said-{len(said)}"}))
                getattr(life, name)(**said[-1][1])
        assert len(life.receipts) == life.told, "exactly one receipt an event"
        assert_the_outcome_is_what_was_recorded(life, place)
        if life.announced is not None and life.announced.announcement is not None:
            assert place <= (life.announcement.life, life.announcement.revision), "life and revision never go back"
            place = (life.announcement.life, life.announcement.revision)
            stated = assert_the_labs_time_never_goes_back(life, stated)
            assert life.course is not None
            assert life.windowed is not None
            assert (life.course.status, life.announcement.life) == (life.windowed.status, life.windowed.life)


def assert_the_outcome_is_what_was_recorded(life: Life, place: tuple[int, int]) -> None:
    """Each announcement event has the next revision, and none comes without an accepted receipt."""
    accepted = {one.receipt.event_id for one in life.receipts if isinstance(one.receipt, ReceiptAccepted)}
    assert len(life.announcements) == len(accepted)
    if life.announcements:
        assert life.announcement.revision == len(life.announcements)
        assert life.announcement.revision - place[1] <= 1


def assert_the_labs_time_never_goes_back(life: Life, before: datetime) -> datetime:
    """The lab's own time of what stands, never earlier than that of what stood."""
    assert life.announced is not None
    stated = life.announced.stated_at or before
    assert before <= stated
    return stated
