"""The windows decider alone: cases decided about windows, each as given – when – then."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.command import RegistryChanged, TimerDue
from schemas.window import LONGEST
from services.windows.decide import decide
from tests.scale import scaled
from tests.simulation.world import at, day, registry
from tests.unit.window_lives import Life

P14D: dict[str, Any] = {"opens": "P14D"}


def scheduled() -> Life:
    """Announced on day 0: it opens on day 16, warns on day 27 and closes with the release on day 30."""
    return Life().announce()


def opened() -> Life:
    """The same, four days after its opening."""
    return scheduled().until(20)


def closed() -> Life:
    """The same, a day after its end."""
    return scheduled().until(31)


# ---- time


def test_a_window_opens_warns_and_closes_by_time_alone() -> None:
    life = closed()
    assert life.heard == ["scheduled", "opened", "closing-soon", "closed"]
    assert [event.due_at for event in life.windows] == [None, day(16), day(27), day(30)]
    assert [event.happened_at for event in life.windows] == [day(0), day(16), day(27), day(30)]
    assert (life.window.opened_at, life.window.ended_at, life.window.reason) == (day(16), day(30), "release")


def test_the_release_passing_silently_closes_the_window() -> None:
    assert opened().until(30).window.status == "closed"


def test_just_before_its_instant_nothing_happens() -> None:
    assert scheduled().until(day(16) - timedelta(microseconds=1)).heard == ["scheduled"]


def test_every_transition_missed_while_down_happens_once_in_due_order_with_both_times() -> None:
    life = scheduled().down_until(40)
    late = life.windows[1:]
    assert [event.kind for event in late] == ["opened", "closing-soon", "closed"]
    assert [event.due_at for event in late] == [day(16), day(27), day(30)]
    assert {event.happened_at for event in late} == {day(40)}
    assert (life.window.opened_at, life.window.ended_at) == (day(40), day(40))
    assert life.until(60).heard == ["scheduled", "opened", "closing-soon", "closed"]


def test_a_closing_warning_that_fell_due_while_down_is_sent_late() -> None:
    life = opened().down_until(28)
    assert (life.windows[-1].kind, life.windows[-1].due_at, life.windows[-1].happened_at) == (
        "closing-soon",
        day(27),
        day(28),
    )


def test_a_window_that_opens_late_while_down_does_not_lose_its_closing() -> None:
    life = scheduled().down_until(17).until(31)
    assert life.heard == ["scheduled", "opened", "closing-soon", "closed"]
    assert life.window.opened_at == day(17)
    assert life.window.opens_at == day(16)


def test_a_window_shorter_than_the_closing_warning_gives_none() -> None:
    assert Life().announce(early_access={"opens": "P2D"}).until(31).heard == ["scheduled", "opened", "closed"]


def test_thirty_days_after_its_end_the_state_shrinks_to_what_a_later_life_needs() -> None:
    life = scheduled().until(59)
    assert life.windowed is not None
    assert life.windowed.window is not None
    shrunk = life.until(60).windowed
    assert shrunk is not None
    assert shrunk.window is None
    assert (shrunk.life, shrunk.revision, shrunk.status, shrunk.ended_at) == (1, 1, "closed", day(30))
    assert shrunk.next_timer() is None
    assert life.heard[-1] == "closed"


def test_a_shrunk_window_comes_back_as_a_new_life() -> None:
    life = scheduled().until(61).announce(trusted_partner_release_at=at(90))
    assert (life.heard[-1], life.window.life, life.window.opened_at) == ("scheduled", 2, None)


def test_a_shrunk_window_takes_a_withdrawal_and_a_late_word_in_silence() -> None:
    life = scheduled().until(61)
    seen = list(life.heard)
    assert life.announce(handling="late").withdraw().heard == seen


# ---- slips and pulls


def test_a_release_that_slips_while_the_window_is_open_moves_only_its_closing() -> None:
    life = opened().announce(trusted_partner_release_at=at(50))
    assert life.heard[-1] == "rescheduled"
    assert life.windows[-1].changed == ("trusted_partner_release_at",)
    assert (life.window.status, life.window.opened_at, life.window.opens_at) == ("open", day(16), day(16))
    assert life.window.closes_at == day(50)
    assert life.until(51).window.ended_at == day(50)


def test_a_slip_far_beyond_thirty_days_leaves_an_open_window_open() -> None:
    life = opened().announce(trusted_partner_release_at=at(200))
    assert (life.window.status, life.window.opened_at, life.window.closes_at) == ("open", day(16), day(200))


def test_a_slip_keeps_the_earlier_closing_that_the_lab_fixed() -> None:
    offer = {"opens": "P14D", "closes_at": at(25)}
    life = Life().announce(early_access=offer).until(20)
    life.announce(early_access=offer, trusted_partner_release_at=at(50))
    assert life.window.closes_at == day(25)
    assert life.until(26).window.reason == "lab_closing"


def test_a_slip_while_scheduled_moves_opening_and_closing() -> None:
    life = scheduled().announce(trusted_partner_release_at=at(40))
    assert (life.heard[-1], life.window.opens_at, life.window.closes_at) == ("rescheduled", day(26), day(40))
    assert life.until(26).window.opened_at == day(26)


def test_a_release_pulled_forward_past_its_opening_opens_at_once_on_short_notice() -> None:
    life = scheduled().until(5).announce(trusted_partner_release_at=at(15))
    assert (life.heard[-1], life.window.opened_at, life.window.short_notice) == ("opened", day(5), True)
    assert life.windows[-1].due_at is None


def test_short_notice_stays_with_an_open_window() -> None:
    life = scheduled().until(5).announce(trusted_partner_release_at=at(15)).announce(trusted_partner_release_at=at(20))
    assert (life.heard[-1], life.window.short_notice) == ("rescheduled", True)


def test_an_open_window_that_was_planned_in_time_is_not_on_short_notice_after_a_change() -> None:
    assert opened().announce(handling="changed").window.short_notice is False


def test_short_notice_goes_when_the_opening_moves_away() -> None:
    life = scheduled().until(14).announce(handling="soon").announce(trusted_partner_release_at=at(60))
    assert [event.window.short_notice for event in life.windows] == [False, True, False]


@pytest.mark.parametrize(("days", "short"), [(3, False), (2.99, True), (0, True)])
def test_an_opening_less_than_three_days_away_is_short_notice(days: float, short: bool) -> None:
    assert Life().announce(early_access={"opens": at(days)}).window.short_notice is short


def test_a_release_pulled_forward_into_the_past_withdraws_a_scheduled_window() -> None:
    life = scheduled().until(5).announce(trusted_partner_release_at=at(4))
    assert (life.heard[-1], life.window.reason, life.window.ended_at) == ("withdrawn", "release_reached", day(5))
    assert life.window.opened_at is None


def test_a_release_pulled_forward_into_the_past_closes_an_open_window() -> None:
    life = opened().announce(trusted_partner_release_at=at(19))
    assert (life.heard[-1], life.window.reason, life.window.opened_at) == ("closed", "release", day(16))


def test_a_closing_pulled_forward_into_the_past_closes_an_open_window_at_the_labs_word() -> None:
    life = opened().announce(early_access={"opens": "P14D", "closes_at": at(18)})
    assert (life.heard[-1], life.window.reason, life.window.ended_at) == ("closed", "lab_closing", day(20))


def test_a_closing_pulled_forward_past_the_warnings_instant_gives_no_warning() -> None:
    assert opened().announce(trusted_partner_release_at=at(22)).until(23).heard == [
        "scheduled",
        "opened",
        "rescheduled",
        "closed",
    ]


def test_the_closing_warning_is_armed_anew_when_the_closing_moves() -> None:
    life = opened().until(28).announce(trusted_partner_release_at=at(40)).until(41)
    assert [event.due_at for event in life.windows if event.kind == "closing-soon"] == [day(27), day(37)]


def test_the_closing_warning_is_not_given_twice_for_the_same_closing() -> None:
    life = opened().until(28).announce(handling="changed after the warning").until(31)
    assert life.heard.count("closing-soon") == 1


# ---- no time left, no offer


@pytest.mark.parametrize(
    "offer",
    [
        {"opens": at(31)},
        {"opens": at(30)},
        {"opens": "P14D", "closes_at": at(16)},
        {"opens": "P14D", "closes_at": at(-1)},
    ],
)
def test_no_time_between_opening_and_closing_is_not_offered_when_nobody_was_told(offer: dict[str, Any]) -> None:
    life = Life().announce(early_access=offer)
    assert (life.heard, life.window.reason) == (["not-offered"], "no_time_left")
    assert (life.window.opens_at, life.window.closes_at, life.window.ended_at) == (None, None, None)


def test_no_time_between_opening_and_closing_withdraws_what_was_told() -> None:
    life = scheduled().announce(early_access={"opens": at(31)})
    assert (life.heard[-1], life.window.reason) == ("withdrawn", "no_time_left")


def test_a_release_without_early_access_is_not_offered() -> None:
    life = Life().announce(early_access=None)
    assert (life.heard, life.window.reason, life.window.life) == (["not-offered"], None, 1)
    assert life.until(100).heard == ["not-offered"]


def test_an_offer_after_not_offered_is_the_same_life() -> None:
    life = Life().announce(early_access=None).announce()
    assert (life.heard, life.window.life) == (["not-offered", "scheduled"], 1)


def test_a_statement_without_an_offer_after_not_offered_is_not_offered_again() -> None:
    life = Life().announce(early_access=None).announce(early_access=None, handling="changed")
    assert life.heard == ["not-offered", "not-offered"]


def test_more_than_thirty_days_is_clamped() -> None:
    life = Life().announce(trusted_partner_release_at=at(60), early_access={"opens": "P45D"})
    assert life.window.opens_at == day(30)


# ---- already open


@pytest.mark.parametrize("opens", ["P7D", "PT0S", at(25), at(31)])
def test_another_opening_planned_while_open_is_ignored(opens: str) -> None:
    life = opened().announce(early_access={"opens": opens})
    assert (life.heard[-1], life.window.status) == ("rescheduled", "open")
    assert (life.window.opens_at, life.window.opened_at, life.window.closes_at) == (day(16), day(16), day(30))
    assert life.until(31).heard[-2:] == ["closing-soon", "closed"]


# ---- ends and lives


def test_a_withdrawal_ends_a_scheduled_window_and_its_timers() -> None:
    life = scheduled().until(2).withdraw()
    assert (life.heard[-1], life.window.reason, life.window.ended_at) == ("withdrawn", "withdrawn", day(2))
    assert life.window.revision == 2
    assert life.until(50).heard == ["scheduled", "withdrawn"]


def test_a_withdrawal_ends_an_open_window_and_keeps_when_it_opened() -> None:
    life = opened().withdraw()
    assert (life.window.status, life.window.opened_at, life.window.ended_at) == ("withdrawn", day(16), day(20))


def test_a_withdrawal_of_what_was_not_offered_withdraws_it() -> None:
    assert Life().announce(early_access=None).withdraw().heard == ["not-offered", "withdrawn"]


def test_withdrawn_and_announced_again_is_a_new_life_of_the_same_release() -> None:
    life = opened().withdraw().announce(trusted_partner_release_at=at(60))
    first, again = life.windows[0].window, life.window
    assert (again.release_id, again.life, again.status) == (first.release_id, 2, "scheduled")
    assert (again.opened_at, again.ended_at, again.reason) == (None, None, None)
    assert life.until(61).window.opened_at == day(46)


def test_withdrawn_and_announced_again_without_an_offer_is_a_new_life_too() -> None:
    life = scheduled().withdraw().announce(early_access=None)
    assert (life.heard[-1], life.window.life) == ("not-offered", 2)


@pytest.mark.parametrize("begin", [scheduled, opened])
def test_a_removed_offer_withdraws_the_window(begin: Any) -> None:
    life = begin().announce(early_access=None)
    assert (life.heard[-1], life.window.reason) == ("withdrawn", "offer_withdrawn")
    assert life.windows[-1].changed == ("early_access",)


def test_an_offer_after_a_removed_one_is_a_new_life() -> None:
    life = opened().announce(early_access=None).announce(trusted_partner_release_at=at(60))
    assert (life.heard[-1], life.window.life, life.window.opened_at) == ("scheduled", 2, None)


def test_a_removed_offer_and_then_a_withdrawal_withdraws_once() -> None:
    life = scheduled().announce(early_access=None).withdraw()
    assert (life.heard, life.ended()) == (["scheduled", "withdrawn"], "offer_withdrawn")


def test_a_statement_after_closed_that_closes_in_the_future_is_a_new_life() -> None:
    life = closed().announce(trusted_partner_release_at=at(60))
    assert (life.heard[-1], life.window.life, life.window.opened_at) == ("scheduled", 2, None)


def test_a_closing_put_off_after_it_has_been_is_a_new_life() -> None:
    life = Life().announce(early_access={"opens": "P14D", "closes_at": at(20)}).until(21)
    life.announce(early_access={"opens": "P14D", "closes_at": at(25)})
    assert (life.heard[-1], life.window.life, life.window.opened_at) == ("opened", 2, day(21))


@pytest.mark.parametrize(
    "changes",
    [
        {"handling": "late"},
        {"early_access": None},
        {"trusted_partner_release_at": at(29)},
        {"trusted_partner_release_at": at(60), "early_access": {"opens": at(61)}},
        {"model": {"name": "Model One", "summary": "late"}},
    ],
)
def test_any_other_statement_after_closed_is_only_recorded(changes: dict[str, Any]) -> None:
    life = closed()
    seen, before = list(life.windows), life.windowed
    life.announce(**changes)
    assert life.windows == seen
    assert life.windowed == before


def test_a_withdrawal_after_closed_is_only_recorded() -> None:
    life = closed()
    seen = list(life.windows)
    assert life.withdraw().windows == seen


def test_announced_again_after_closed_and_withdrawn_needs_a_closing_in_the_future() -> None:
    life = closed().withdraw().announce()
    assert life.heard[-1] == "closed"
    assert life.announce(trusted_partner_release_at=at(60)).window.life == 2


# ---- what a revision reaches


def test_an_immaterial_revision_gives_no_event_and_keeps_the_timers() -> None:
    life = scheduled().announce(model={"name": "Model One", "summary": "said better"})
    assert life.heard == ["scheduled"]
    assert life.until(31).heard == ["scheduled", "opened", "closing-soon", "closed"]


def test_what_was_revised_without_being_material_is_carried_by_the_next_event() -> None:
    life = scheduled().announce(model={"name": "Model One", "version": "2"}).until(16)
    assert (life.window.statement.model.version, life.window.revision) == ("2", 2)


def test_an_immaterial_revision_keeps_the_closing_warning() -> None:
    life = opened().until(28).announce(model={"name": "Model One", "version": "2"}).until(31)
    assert life.heard == ["scheduled", "opened", "closing-soon", "closed"]


@pytest.mark.parametrize(
    "changes",
    [
        {"handling": "for the watch desk"},
        {"tlp": "TLP:RED"},
        {"capabilities": ["biology"]},
        {"audience": {"mode": "listed", "agencies": ["all"]}},
        {"embargo_until": at(35)},
        {"public_release_at": at(45)},
    ],
)
@pytest.mark.parametrize("begin", [scheduled, opened])
def test_a_material_revision_that_moves_no_date_is_rescheduled_naming_what_changed(
    begin: Any, changes: dict[str, Any]
) -> None:
    life = begin()
    before = life.window
    life.announce(**changes)
    assert (life.heard[-1], life.windows[-1].changed) == ("rescheduled", tuple(changes))
    assert (life.window.opens_at, life.window.closes_at) == (before.opens_at, before.closes_at)
    assert (life.window.life, life.window.status, life.window.revision) == (1, before.status, 2)


def test_the_policy_is_fixed_when_the_window_is_scheduled() -> None:
    life = scheduled().apply(registry(version=2, policy={"closing_warning": "P10D"}))
    life.announce(trusted_partner_release_at=at(40)).until(35).announce(trusted_partner_release_at=at(45)).until(46)
    assert [event.due_at for event in life.windows if event.kind == "closing-soon"] == [day(42)]
    assert {event.window.policy.closing_warning for event in life.windows} == {timedelta(days=3)}


def test_a_new_life_takes_the_policy_of_its_day() -> None:
    life = scheduled().withdraw().apply(registry(version=2, policy={"closing_warning": "P10D"})).announce().until(31)
    assert [event.due_at for event in life.windows if event.kind == "closing-soon"] == [day(20)]


def test_an_exercise_is_marked_in_every_event() -> None:
    life = Life().announce(exercise=True).until(31)
    assert [event.window.exercise for event in life.windows] == [True] * 4


def test_nothing_but_announcements_and_its_own_timers_moves_a_window() -> None:
    life = scheduled()
    assert decide(life.windowed, RegistryChanged(registry(version=2), "cause"), life.now) == []
    assert decide(None, TimerDue("opens", day(1), "cause", registry()), life.now) == []


# ---- whatever happens

OFFERS = st.one_of(
    st.none(),
    st.builds(lambda days: {"opens": f"P{days}D"}, st.integers(0, 60)),
    st.builds(lambda days: {"opens": at(days)}, st.integers(-5, 80)),
    st.builds(
        lambda days, closes: {"opens": f"P{days}D", "closes_at": at(closes)}, st.integers(0, 60), st.integers(-5, 80)
    ),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("announce"),
            st.fixed_dictionaries(
                {
                    "trusted_partner_release_at": st.integers(-5, 80).map(at),
                    "early_access": OFFERS,
                    "handling": st.sampled_from([None, "so", "otherwise"]),
                    "model": st.sampled_from([{"name": "Model One"}, {"name": "Model One", "version": "2"}]),
                }
            ),
        ),
        st.tuples(st.just("withdraw"), st.just({})),
        st.tuples(st.just("until"), st.sampled_from([0.1, 1, 3, 7, 14])),
        st.tuples(st.just("down_until"), st.sampled_from([0.1, 1, 3, 7, 14])),
    ),
    max_size=20,
)


@settings(max_examples=scaled(100, 5000))
@given(STEPS)
def test_whatever_a_lab_states_what_must_never_be_otherwise_holds(steps: list[tuple[str, Any]]) -> None:
    life = Life()
    for name, argument in steps:
        if isinstance(argument, dict):
            getattr(life, name)(**argument)
        else:
            getattr(life, name)(life.now + timedelta(days=argument))
        assert_both_deciders_agree(life)
    life.until(life.now + timedelta(days=200))
    assert_both_deciders_agree(life)
    assert_windows_are_sound(life)


def assert_both_deciders_agree(life: Life) -> None:
    """What the lab was told is what the window is, at the same instant."""
    course, state = life.course, life.windowed
    assert (course is None) == (state is None)
    if course is None or state is None:
        return
    assert state.status == course.status
    assert state.life == life.announcement.life
    if course.ended:
        assert state.reason == course.reason
    if state.window is not None:
        assert (state.window.opens_at, state.window.closes_at) == (course.opens_at, course.closes_at)
    assert (due := state.next_timer()) is None or due.due_at > life.now


def assert_windows_are_sound(life: Life) -> None:
    """What must never be otherwise, over the whole history."""
    opened_at: dict[int, Any] = {}
    over: set[int] = set()
    place, happened = (0, 0), life.windows[0].happened_at if life.windows else None
    for event in life.windows:
        window, release_at = event.window, event.window.statement.trusted_partner_release_at
        assert window.life not in over, "an ended window does not come back in the same life"
        if window.status in {"closed", "withdrawn"}:
            over.add(window.life)
            assert window.ended_at == event.happened_at
        assert place <= (window.life, window.revision), "life and revision never go back"
        assert happened is not None
        assert happened <= event.happened_at, "the history is in the order of time"
        place, happened = (window.life, window.revision), event.happened_at
        if window.status != "withdrawn":  # one that was withdrawn carries what had been planned
            assert window.closes_at is None or window.closes_at <= release_at
        if event.kind == "opened" or window.status == "scheduled":
            assert window.opens_at is not None
            assert window.opens_at >= release_at - LONGEST, "at most 30 days are planned"
        if window.life in opened_at:
            assert window.opened_at == opened_at[window.life], "opened_at never changes within a life"
        elif window.opened_at is not None:
            assert event.kind == "opened"
            opened_at[window.life] = window.opened_at
        assert event.due_at is None or event.due_at <= event.happened_at
    lives = [event.window.life for event in life.windows]
    assert sorted(set(lives)) == list(range(1, len(set(lives)) + 1)), "lives are counted without a gap"
