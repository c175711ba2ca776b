"""What the operators' page makes of events: how agencies stand, the time line, the story, tables."""

import json
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Response
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import ACKNOWLEDGEMENTS, ALERTS, ANNOUNCEMENTS, RECEIPTS, WINDOWS
from services.gateway.console import board
from services.gateway.console.csv_file import plain, written
from services.gateway.console.entrance import keep
from services.gateway.console.shell import away, span
from services.gateway.console.standing import Standing, standing
from services.gateway.console.story import told
from services.gateway.model.overview import Happened
from services.kernel.clock import EPOCH
from tests.contract.examples import life
from tests.simulation.world import World, at, day, registry


def stands(world: World, agency: str, days: float) -> Standing | None:
    """How an agency stands to the one release of a world."""
    events = world.events("alerts"), world.events("acknowledgements")
    alerts, answers = ([one for one in found if one["data"]["agency"] == agency] for found in events)
    return standing([one["data"] for one in alerts], answers, day(days))


def test_told_and_asked_until_its_answer_is_due_then_overdue_then_chased_in_vain() -> None:
    world = World().announce().until(0.5)
    found = stands(world, "all", 0.5)
    assert found is not None
    assert (found.state, found.why, found.is_overdue) == ("told", "matching", False)
    assert found.asked_until is not None
    late = stands(world.until(1.5), "all", 1.5)
    assert late is not None
    assert (late.state, late.is_overdue, late.exhausted) == ("overdue", True, False)
    never = stands(world.until(9), "all", 9)
    assert never is not None
    assert (never.state, never.exhausted) == ("overdue", True)


def test_what_was_answered_last_counts_and_received_never_hides_it() -> None:
    world = World().announce().until(0.1).answer("all").answer("all", "participating").until(0.2)
    found = stands(world, "all", 3)
    assert found is not None
    assert (found.state, found.is_overdue) == ("participating", False)


def test_after_a_material_change_a_disposition_stands_and_silence_is_overdue_anew() -> None:
    world = World().announce().until(0.1).answer("all", "participating").until(1)
    world.announce(trusted_partner_release_at=at(45)).until(3)
    found = stands(world, "all", 3)
    assert found is not None
    assert (found.kind, found.state, found.is_overdue) == ("rescheduled", "participating", True)


def test_who_declined_or_is_addressed_no_more_is_waited_for_no_more() -> None:
    world = World().announce().until(0.1).answer("all", "declined").until(1)
    world.announce(trusted_partner_release_at=at(45)).until(3)
    found = stands(world, "all", 3)
    assert found is not None
    assert (found.state, found.is_overdue) == ("declined", False)
    world.announce(audience={"mode": "matching", "exclude": ["all"]}).until(4)
    gone = stands(world, "all", 9)
    assert gone is not None
    assert (gone.state, gone.is_overdue) == ("dropped", False)


def test_who_was_never_told_does_not_stand_at_all() -> None:
    assert standing([], [], datetime.now(UTC)) is None


def test_rows_come_by_what_is_next_and_the_time_line_holds_them() -> None:
    world = World().announce(reference="later", trusted_partner_release_at=at(60)).announce(reference="sooner")
    world.announce(reference="gone").withdraw(reference="gone").until(1)
    windows = list({one["subject"]: one["data"]["window"] for one in world.events("windows")}.values())
    rows = board.rows(board.ordered(windows), {}, {}, registry(), day(1))
    assert board.sums(rows).following == rows[0]
    assert [row.window["statement"]["reference"] for row in rows] == ["sooner", "later", "gone"]
    scale = board.scale(rows, day(1))
    for row in rows[:2]:
        bar = scale.bar(row)
        assert bar is not None
        assert 0 <= bar.x <= bar.x + bar.width <= 100.01
    assert 0 < scale.x(day(1)) < 100
    assert 2 <= len(scale.ticks()) <= 9


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "=HYPERLINK(1)"])
def test_no_cell_of_a_table_begins_a_formula(text: str) -> None:
    assert written(("a",), [{"a": text}]).splitlines()[1].lstrip('"').startswith("'")


@given(st.text())
def test_any_other_text_is_a_cell_as_it_is(text: str) -> None:
    assert plain(text) in {text, f"'{text}"}
    assert not plain(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_how_long_is_said_in_two_units_at_most() -> None:
    said: dict[timedelta, Any] = {timedelta(seconds=5): "5 s", timedelta(hours=3, minutes=20): "3 h 20 min"}
    said |= {timedelta(days=2, hours=4, minutes=9): "2 d 4 h", timedelta(days=1): "1 d", timedelta(minutes=1): "1 min"}
    assert {one: span(one) for one in said} == said
    now = datetime(2027, 3, 1, tzinfo=UTC)
    assert (away(now + timedelta(hours=1), now), away(now - timedelta(days=1), now)) == ("in 1 h", "1 d ago")


def happened(world: World) -> list[Happened]:
    """Everything that the read model would hold of a world's releases, event by event."""
    found = []
    for topic, records in world.logs.items():
        if topic in {"announcements", "windows", "acknowledgements"} or topic.startswith(("alerts.", "receipts.")):
            for offset, record in enumerate(records):
                milliseconds = int(record.at.timestamp() * 1000)
                found.append(Happened(topic, offset, milliseconds, json.loads(record.value or b"")))
    return found


def test_every_event_of_a_life_is_told_in_its_order_and_none_is_called_an_approval() -> None:
    events = happened(life().until(45))
    kinds = {one.event["type"] for one in events}
    assert {data.type for data in (*ANNOUNCEMENTS, *WINDOWS, *ALERTS, *ACKNOWLEDGEMENTS, *RECEIPTS)} - kinds == set()
    entries = told(events, [], lambda milliseconds: EPOCH + timedelta(milliseconds=milliseconds))
    assert len(entries) == len([one for one in events if ".disclosure." not in one.event["type"]])
    assert entries == sorted(entries, key=lambda entry: entry.at)
    said = " ".join(f"{entry.who} {entry.what} {' '.join(entry.more)}" for entry in entries)
    assert set(re.findall(r"\w* \w*approv\w*", said)) == {"no approval"}
    answers = [entry for entry in entries if entry.kind == "answer"]
    assert answers
    assert all("an acknowledgement, no approval" in entry.more for entry in answers)


def test_an_attempt_that_came_to_nothing_says_where_why_and_when_next() -> None:
    common = {"agency": "all", "endpoint": "desk", "channel": "webhook", "delivery_id": "d-1", "abandoned_as": None}
    attempt = {"at": at(1), "outcome": "failed", "seconds": 0.5, "reason": "timeout", "answer": None, "retry_at": at(2)}
    (entry,) = told([], [common | attempt], lambda _: day(0))
    assert (entry.what, entry.at, entry.delivery_id) == ("came to nothing at all/desk", day(1), "d-1")
    assert entry.more == ("webhook", "0.50 s", "timeout", "again 3 Mar 2027 00:00 UTC")


@pytest.mark.parametrize("is_secure", [False, True])
def test_no_script_reads_a_cookie_of_the_page_and_under_tls_it_never_travels_in_the_clear(is_secure: bool) -> None:
    state = SimpleNamespace(console=SimpleNamespace(is_secure=is_secure))
    response = Response()
    keep(response, SimpleNamespace(app=SimpleNamespace(state=state)), "herald_session", "x", 60)  # type: ignore[arg-type]
    said = response.headers["set-cookie"].lower().split("; ")
    assert {"httponly", "samesite=lax", "path=/console", "max-age=60"} <= set(said)
    assert ("secure" in said) == is_secure
