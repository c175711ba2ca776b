"""Instants, durations and text, as they come in and go out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.envelope import derived_id
from schemas.release import Audience
from schemas.values import Duration, Instant, Line, Opening, ParticipantId, Prose, iso8601, rfc3339
from services.deliveries.state import Pending

INSTANT: TypeAdapter[Any] = TypeAdapter(Instant)
DURATION: TypeAdapter[Any] = TypeAdapter(Duration)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)))
def test_an_instant_goes_out_in_utc_and_comes_back(instant: datetime) -> None:
    assert rfc3339(instant).endswith("Z")
    assert INSTANT.validate_python(rfc3339(instant)) == instant


@given(st.timedeltas(timedelta(0), timedelta(days=36499)))
def test_a_duration_goes_out_as_iso_8601_and_comes_back(duration: timedelta) -> None:
    assert abs(DURATION.validate_python(iso8601(duration)) - duration) < timedelta(microseconds=100)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2027-03-01T15:00:00+02:00", datetime(2027, 3, 1, 13, tzinfo=UTC)),
        ("2027-03-01T15:00Z", datetime(2027, 3, 1, 15, tzinfo=UTC)),
        ("2027-03-01t15:00:00.5z", datetime(2027, 3, 1, 15, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_a_zone_is_turned_into_utc(text: str, instant: datetime) -> None:
    assert INSTANT.validate_python(text) == instant


@pytest.mark.parametrize(
    "text",
    ["2027-03-01", "2027-03-01T15:00:00", "tomorrow", "2027-13-01T00:00:00Z", "1999-01-01T00:00:00Z", "", 1, None],
)
def test_what_is_no_instant_is_refused(text: Any) -> None:
    with pytest.raises(ValidationError):
        INSTANT.validate_python(text)


@pytest.mark.parametrize("text", ["P", "PT", "P1M", "P1Y", "-P1D", "14D", "P1.5D", "PT1", "P99999999999999D", 5, ""])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(text)


@pytest.mark.parametrize(("text", "days"), [("P14D", 14), ("P2W", 14), ("PT48H", 2), ("P1DT24H", 2)])
def test_a_duration_means_what_iso_8601_says(text: str, days: int) -> None:
    assert DURATION.validate_python(text) == timedelta(days=days)


def test_an_opening_is_an_instant_or_a_duration() -> None:
    opening: TypeAdapter[Any] = TypeAdapter(Opening)
    assert opening.validate_python("P14D") == timedelta(days=14)
    assert opening.validate_python("2027-03-01T00:00:00Z") == datetime(2027, 3, 1, tzinfo=UTC)
    with pytest.raises(ValidationError, match="or an ISO 8601 duration"):
        opening.validate_python("soon")


@pytest.mark.parametrize("text", ["a\nb", "a\x00", "\x1b[31m", ""])
def test_a_line_has_no_control_characters(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Line).validate_python(text)


def test_prose_may_have_lines_and_tabs_and_nothing_else() -> None:
    assert TypeAdapter(Prose).validate_python("one\n\ttwo") == "one\n\ttwo"
    with pytest.raises(ValidationError):
        TypeAdapter(Prose).validate_python("bell\x07")


@pytest.mark.parametrize("text", ["A", "a", "9lab", "a" * 32, "lab_1", "lab.", "lab\n"])
def test_what_is_no_participant_id_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ParticipantId).validate_python(text)


def test_ids_are_derived_from_each_part_on_its_own() -> None:
    assert derived_id("a", "bc") != derived_id("ab", "c")
    assert derived_id("a", "bc") == derived_id("a", b"bc")


def test_a_value_made_of_valid_parts_is_the_one_that_is_validated_from_them() -> None:
    said: dict[str, Any] = {"mode": "listed", "agencies": ("cisa",)}
    made, validated = Audience.model_construct(**said), Audience.model_validate(said)
    assert made == validated
    assert made.model_dump_json() == validated.model_dump_json()
    assert made.model_fields_set == validated.model_fields_set
    assert made.model_copy(update={"exclude": ("dod",)}) == Audience(**said, exclude=("dod",))
    assert made.exclude == ()


@pytest.mark.parametrize("said", [{}, {"agencies": ()}, {"mode": "matching", "audience": "all"}])
def test_a_value_with_a_part_missing_or_too_many_is_not_made(said: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Audience is not made of"):
        Audience.model_construct(**said)


def test_a_copy_with_other_parts_hands_on_nothing_that_was_worked_out_from_the_old_ones() -> None:
    one = Pending(requested_at=datetime(2027, 3, 1, tzinfo=UTC), next_at=datetime(2027, 3, 1, tzinfo=UTC))
    assert '"attempts":0' in one.text
    assert '"attempts":1' in one.model_copy(update={"attempts": 1}).text
