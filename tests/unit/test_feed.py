"""The calendar of an agency's windows, as two independent parsers read it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import icalendar
import pytest
import vobject

from schemas.alert import AlertIssued
from schemas.envelope import reader
from services.gateway.door.feed import Entries, calendar
from tests.simulation.world import World, at, day, registry


@dataclass(frozen=True)
class Seen:
    """One event as a parser reads it."""

    uid: str
    start: datetime
    end: datetime | None
    status: str
    sequence: int
    summary: str


def written(world: World, agency: str = "cyber") -> bytes:
    entries = Entries()
    for record in world.logs[f"alerts.{agency}"]:
        entries.take(reader(AlertIssued).validate_json(record.value or b"").data)
    return calendar(entries)


def by_icalendar(text: bytes) -> list[Seen]:
    events: list[Any] = icalendar.Calendar.from_ical(text).walk("VEVENT")
    return [
        Seen(str(one["UID"]), one["DTSTART"].dt, one["DTEND"].dt, str(one["STATUS"]), one["SEQUENCE"], one["SUMMARY"])
        for one in events
    ]


def by_vobject(text: bytes) -> list[Seen]:
    parsed = vobject.readOne(text.decode())
    return [
        Seen(
            one.uid.value,
            one.dtstart.value.astimezone(UTC),
            one.dtend.value.astimezone(UTC),
            one.status.value,
            int(one.sequence.value),
            one.summary.value,
        )
        for one in parsed.contents.get("vevent", [])
    ]


def seen(world: World, agency: str = "cyber") -> list[Seen]:
    """The events, on which both parsers must agree."""
    text = written(world, agency)
    found = by_icalendar(text)
    assert found == by_vobject(text)
    return found


def only(world: World) -> Seen:
    (found,) = seen(world)
    return found


def test_a_planned_window_is_one_event_in_utc() -> None:
    found = only(World().announce())
    assert (found.start, found.end, found.status) == (day(16), day(30), "CONFIRMED")
    assert found.start.utcoffset() is not None
    assert b"DTSTART:20270317T000000Z" in written(World().announce())


def test_a_move_keeps_the_event_and_counts_its_sequence_up() -> None:
    world = World().announce()
    before = only(world)
    after = only(world.announce(trusted_partner_release_at=at(40)))
    assert (after.uid, after.start, after.end) == (before.uid, day(26), day(40))
    assert after.sequence > before.sequence


def test_what_moves_nothing_leaves_the_event_byte_for_byte() -> None:
    world = World().announce()
    before = written(world)
    world.announce(handling="For the watch desk.").until(5)
    assert len(world.alerts("cyber")) > 2  # told of the handling, then reminded
    assert written(world) == before


def test_opening_and_closing_on_time_move_nothing() -> None:
    world = World().announce()
    before = written(world)
    assert world.until(31).kinds("cyber")[-1] == "closed"
    assert written(world) == before


def test_an_opening_at_once_begins_when_it_really_did() -> None:
    world = World().until(20).announce()
    assert only(world).start == day(20)


def test_a_withdrawal_cancels_the_event_and_keeps_its_times() -> None:
    world = World().announce()
    before, after = only(world), only(world.withdraw())
    assert (after.uid, after.status, after.start, after.end) == (before.uid, "CANCELLED", before.start, before.end)
    assert after.sequence > before.sequence


def test_who_is_no_longer_addressed_sees_it_cancelled_with_the_times_it_knew() -> None:
    world = World().announce()
    before = only(world)
    narrowed = {"mode": "listed", "agencies": ["all"]}
    after = only(world.announce(audience=narrowed, trusted_partner_release_at=at(40)))
    assert (after.status, after.start, after.end) == ("CANCELLED", before.start, before.end)
    again = only(world.announce(trusted_partner_release_at=at(40)))
    assert (again.uid, again.status, again.end) == (before.uid, "CONFIRMED", day(40))
    assert before.sequence < after.sequence < again.sequence


def test_a_new_life_is_an_event_of_its_own_beside_the_cancelled_one() -> None:
    first, second = seen(World().announce().withdraw().announce())
    assert first.uid != second.uid
    assert (first.status, second.status) == ("CANCELLED", "CONFIRMED")


def test_two_agencies_never_share_an_event_id_nor_see_each_others_windows() -> None:
    world = World().announce(audience={"mode": "listed", "agencies": ["all", "cyber"]})
    world.announce(reference="m-2", audience={"mode": "listed", "agencies": ["all"]})
    mine, theirs = seen(world, "cyber"), seen(world, "all")
    assert (len(mine), len(theirs)) == (1, 2)
    assert not {one.uid for one in mine} & {one.uid for one in theirs}


def test_the_feed_is_thin() -> None:
    access = {"how": "An isolated endpoint.", "contact": "early-access@lab.example"}
    model = {"name": "Model One", "version": "v17", "summary": "Does things."}
    world = World().announce(early_access={"opens": "P14D", "access": access}, model=model, handling="Quietly.")
    text = written(world).decode().replace("\r\n ", "")
    for secret in ("Model", "v17", "m-1", "lab", "Lab", "things", "endpoint", "example", "Quietly", "cyber", "Cyber"):
        assert secret not in text, secret
    assert world.alerts("cyber")[0]["release_id"] in text


def test_an_exercise_says_so_in_its_first_word() -> None:
    world = World().apply(registry(version=2)).announce("other", exercise=True)
    (found,) = seen(world, "drills")
    assert found.summary.startswith("EXERCISE: ")


def test_a_release_without_early_access_is_no_event() -> None:
    world = World().announce(early_access=None, capabilities=["biology"])
    assert world.kinds("not") == ["announced"]
    assert seen(world, "not") == []


def test_lines_end_and_fold_as_rfc_5545_says() -> None:
    text = written(World().announce())
    lines = text.split(b"\r\n")
    assert text.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in text.replace(b"\r\n", b"")
    assert max(map(len, lines)) <= 75


@pytest.mark.parametrize("parse", [by_icalendar, by_vobject])
def test_a_calendar_of_nobody_is_still_a_calendar(parse: Any) -> None:
    assert parse(calendar([])) == []
