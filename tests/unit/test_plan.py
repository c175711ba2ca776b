"""The plan of a window from a statement: one pure function that a lab's receipt and the window agree on."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.plan import Course, Plan, advanced, plan, withdrawn
from schemas.release import Release
from schemas.window import LONGEST
from tests.simulation.world import START, at, day
from tests.simulation.world import release as stated

INSTANT = timedelta(microseconds=1)
SCHEDULED = Course(status="scheduled", opens_at=day(16), closes_at=day(30), reason="release")
OPEN = SCHEDULED.model_copy(update={"status": "open"})
CLOSED = SCHEDULED.model_copy(update={"status": "closed"})
WITHDRAWN = SCHEDULED.model_copy(update={"status": "withdrawn", "reason": "withdrawn"})
REMOVED = SCHEDULED.model_copy(update={"status": "withdrawn", "reason": "offer_withdrawn"})
NOT_OFFERED = Course(status="not-offered")


def release(**changes: Any) -> Release:
    """A statement: unless changed, it opens on day 16 and closes with the release on day 30."""
    return Release.model_validate_json(json.dumps(stated(**changes)))


def planned(known: Course | None = None, now: float = 0, **changes: Any) -> Plan:
    """The plan of a statement made on a day."""
    return plan(release(**changes), known, day(now))


def codes(made: Plan) -> list[str]:
    """Codes of the warnings in order."""
    return [warning.code for warning in made.warnings]


# ---- nothing known before


def test_a_duration_counts_back_from_the_release_and_the_closing_is_the_release() -> None:
    assert planned() == Plan(SCHEDULED)


def test_an_instant_is_taken_as_it_is() -> None:
    assert planned(early_access={"opens": at(18)}).course.opens_at == day(18)


def test_an_earlier_closing_is_the_labs_own() -> None:
    course = planned(early_access={"opens": "P14D", "closes_at": at(25)}).course
    assert (course.closes_at, course.reason) == (day(25), "lab_closing")


def test_exactly_thirty_days_is_not_clamped() -> None:
    made = planned(trusted_partner_release_at=at(40), early_access={"opens": "P30D"})
    assert (made.course.opens_at, codes(made)) == (day(10), [])


@pytest.mark.parametrize("opens", ["P30DT1S", "P400D", at(9)])
def test_more_than_thirty_days_is_clamped_to_thirty(opens: str) -> None:
    made = planned(trusted_partner_release_at=at(40), early_access={"opens": opens})
    assert (made.course.opens_at, codes(made)) == (day(10), ["opening_clamped"])
    assert (made.warnings[0].field, made.warnings[0].applies) == ("early_access.opens", day(10))


def test_a_closing_after_the_release_is_clamped_to_it() -> None:
    made = planned(early_access={"opens": "P14D", "closes_at": at(31)})
    assert (made.course.closes_at, made.course.reason, codes(made)) == (day(30), "release", ["closing_clamped"])


def test_no_offer_is_not_offered_without_a_warning() -> None:
    assert planned(early_access=None) == Plan(NOT_OFFERED)


def test_an_opening_already_past_opens_at_once_on_short_notice() -> None:
    made = planned(now=20)
    assert (made.course.status, made.short_notice, codes(made)) == ("open", True, ["short_notice"])
    assert made.warnings[0].message == "it opens at once"


def test_an_opening_at_this_very_instant_is_open() -> None:
    assert plan(release(), None, day(16)).course.status == "open"
    assert plan(release(), None, day(16) - INSTANT).course.status == "scheduled"


def test_three_days_are_enough_notice_and_less_is_short() -> None:
    assert plan(release(), None, day(13)).short_notice is False
    assert plan(release(), None, day(13) + INSTANT).short_notice is True


@pytest.mark.parametrize("now", [30, 31])
def test_a_release_in_the_past_is_not_offered_and_says_why(now: float) -> None:
    made = planned(now=now)
    assert (made.course, codes(made)) == (
        Course(status="not-offered", reason="no_time_left"),
        ["release_in_the_past", "no_time_left"],
    )


# ---- scheduled


def test_a_scheduled_window_is_planned_afresh_in_the_same_life() -> None:
    made = planned(SCHEDULED, trusted_partner_release_at=at(40))
    assert (made.course.opens_at, made.course.closes_at, made.new_life) == (day(26), day(40), False)


@pytest.mark.parametrize(
    ("now", "changes", "reason"),
    [
        (0, {"early_access": None}, "offer_withdrawn"),
        (0, {"early_access": {"opens": at(31)}}, "no_time_left"),
        (5, {"early_access": {"opens": "P14D", "closes_at": at(4)}}, "no_time_left"),
        (5, {"trusted_partner_release_at": at(4)}, "release_reached"),
        (5, {"trusted_partner_release_at": at(5)}, "release_reached"),
    ],
)
def test_a_scheduled_window_that_will_not_be_is_withdrawn_for_a_reason(
    now: float, changes: dict[str, Any], reason: str
) -> None:
    course = planned(SCHEDULED, now, **changes).course
    assert (course.status, course.reason, course.opens_at) == ("withdrawn", reason, day(16))


# ---- open


def test_an_open_window_follows_a_slip_with_its_closing_only() -> None:
    made = planned(OPEN, 20, trusted_partner_release_at=at(100))
    assert made.course == OPEN.model_copy(update={"closes_at": day(100)})
    assert codes(made) == ["already_open"]


def test_a_slip_that_moves_the_opening_only_within_the_past_needs_no_warning() -> None:
    made = planned(OPEN, 20, trusted_partner_release_at=at(32))
    assert made == Plan(OPEN.model_copy(update={"closes_at": day(32)}))


def test_an_open_window_is_never_clamped_again() -> None:
    made = planned(OPEN, 20, trusted_partner_release_at=at(100), early_access={"opens": at(16)})
    assert (made.course.opens_at, codes(made)) == (day(16), [])


@pytest.mark.parametrize("opens", [at(21), at(99), "P1D"])
def test_an_open_window_ignores_another_opening_and_says_which_applies(opens: str) -> None:
    made = planned(OPEN, 20, early_access={"opens": opens})
    assert (made.course, codes(made), made.warnings[0].applies) == (OPEN, ["already_open"], day(16))


@pytest.mark.parametrize("release_day", [19, 20])
def test_an_open_window_closes_when_the_release_is_pulled_to_now_or_before(release_day: float) -> None:
    made = planned(OPEN, 20, trusted_partner_release_at=at(release_day))
    assert (made.course.status, made.course.reason) == ("closed", "release")
    assert codes(made) == ["release_in_the_past"]


def test_an_open_window_without_its_offer_is_withdrawn() -> None:
    assert planned(OPEN, 20, early_access=None).course == REMOVED.model_copy(update={"opens_at": day(16)})


# ---- ended, or never offered


@pytest.mark.parametrize("ended", [CLOSED, REMOVED])
def test_what_ended_begins_a_new_life_only_with_a_closing_in_the_future(ended: Course) -> None:
    again = planned(ended, 31, trusted_partner_release_at=at(60))
    assert (again.new_life, again.course.status) == (True, "scheduled")
    late = planned(ended, 31)
    assert (late.new_life, late.course) == (False, ended)
    assert codes(late) == ["release_in_the_past", "after_the_end"]


@pytest.mark.parametrize("changes", [{}, {"early_access": None}, {"trusted_partner_release_at": at(-1)}])
def test_what_was_withdrawn_begins_a_new_life_whatever_is_announced(changes: dict[str, Any]) -> None:
    assert planned(WITHDRAWN, 1, **changes).new_life is True


def test_an_offer_after_not_offered_is_the_same_life() -> None:
    assert planned(NOT_OFFERED) == Plan(SCHEDULED)


def test_what_was_never_offered_is_not_withdrawn_but_stays_not_offered() -> None:
    assert planned(NOT_OFFERED, early_access={"opens": at(31)}).course.status == "not-offered"


# ---- time, and the lab's withdrawal


@pytest.mark.parametrize(
    ("now", "status"),
    [
        (day(16) - INSTANT, "scheduled"),
        (day(16), "open"),
        (day(30) - INSTANT, "open"),
        (day(30), "closed"),
        (day(400), "closed"),
    ],
)
def test_time_alone_opens_and_closes_a_course(now: Any, status: str) -> None:
    assert advanced(SCHEDULED, now) == SCHEDULED.model_copy(update={"status": status})


def test_a_course_that_time_closes_keeps_why_it_closes() -> None:
    early = planned(early_access={"opens": "P14D", "closes_at": at(25)}).course
    assert (advanced(early, day(25)).status, advanced(early, day(25)).reason) == ("closed", "lab_closing")


@pytest.mark.parametrize("course", [NOT_OFFERED, CLOSED, WITHDRAWN, REMOVED])
def test_time_moves_nothing_that_has_no_dates_to_come(course: Course) -> None:
    assert advanced(course, day(400)) == course


@pytest.mark.parametrize("course", [SCHEDULED, OPEN, NOT_OFFERED])
def test_a_withdrawal_ends_what_has_not_ended(course: Course) -> None:
    assert (withdrawn(course).status, withdrawn(course).reason) == ("withdrawn", "withdrawn")


@pytest.mark.parametrize("course", [CLOSED, REMOVED, WITHDRAWN])
def test_a_withdrawal_leaves_what_has_ended_as_it_is(course: Course) -> None:
    assert withdrawn(course) == course


DAYS = st.integers(-50, 150)


@given(
    st.sampled_from([None, SCHEDULED, CLOSED, WITHDRAWN, REMOVED, NOT_OFFERED]),
    DAYS,
    st.one_of(DAYS.map(at), st.integers(0, 90).map(lambda days: f"P{days}D")),
    st.one_of(st.none(), DAYS.map(at)),
    st.integers(0, 100),
)
def test_no_statement_plans_more_than_thirty_days_or_beyond_the_release(
    known: Course | None, release_day: int, opens: str, closes_at: str | None, now: int
) -> None:
    known = advanced(known, day(now)) if known else None
    offer = {"opens": opens} | ({"closes_at": closes_at} if closes_at else {})
    made = planned(known, now, trusted_partner_release_at=at(release_day), early_access=offer)
    course, release_at = made.course, START + timedelta(days=release_day)
    stays_open = known is not None and known.status == "open"
    if course.status in {"scheduled", "open"}:
        assert course.opens_at is not None
        assert course.closes_at is not None
        assert day(now) < course.closes_at <= release_at
        assert (course.status == "open") == (course.opens_at <= day(now))
        assert stays_open or release_at - LONGEST <= course.opens_at < course.closes_at
    if stays_open and known is not None:
        assert course.opens_at == known.opens_at
    assert advanced(course, day(now)) == course, "a plan is never behind its own instant"
