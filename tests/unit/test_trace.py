"""One trace from a statement to all that follows from it, the same bytes however often it is decided."""

import json
from typing import Any

import pytest
from fastapi import FastAPI, Request

from schemas.envelope import Event, derived_id, encode
from schemas.trace import carried, is_sampled, usable
from schemas.values import rfc3339
from services.cli.announce import enveloped
from services.deliveries.app import SERVICE as DELIVERIES
from services.deliveries.letter import Attempt
from services.gateway.door.heard import heard
from services.kernel.inbox import Item
from services.kernel.ledger import Ledger
from services.kernel.state import Restored
from tests.simulation.world import World, at, pushed, registry, release
from tests.unit.endpoint_world import START, requested
from tests.unit.endpoint_world import registry as endpoint_registry

LABS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def traces(world: World, *topics: str) -> set[str]:
    """The trace ids in these topics."""
    return {event["traceparent"][3:35] for topic in topics for event in world.events(topic)}


def every(world: World) -> dict[str, set[str]]:
    """Each topic that holds events, and the traces in it."""
    names = [name for name in world.logs if not name.startswith(("state.", "registry", "dead", "releases."))]
    return {name: traces(world, name) for name in names if world.logs[name]}


def said(world: World, **more: Any) -> World:
    """The same statement under the same id, with what an envelope may say besides."""
    return world.send("releases.lab", "/labs/lab", "release.announced", release(), "one", **more)


def test_what_a_lab_begins_goes_on_through_every_topic_and_through_what_comes_by_time() -> None:
    world = said(World(first=pushed()), traceparent=LABS).until(40)
    found = every(world)
    assert {"releases", "announcements", "windows", "alerts", "reminders", "deliveries", "receipts.lab"} <= found.keys()
    assert {"alerts.all", "alerts.cyber", "acknowledgements"} <= found.keys()
    assert {name: one for name, one in found.items() if one != {LABS[3:35]}} == {}
    assert {"opened", "closing-soon", "closed"} <= set(world.kinds("all"))
    assert "scheduled escalation lead" in world.kinds("all")


def test_where_a_statement_has_no_trace_its_own_id_begins_one() -> None:
    world = said(World()).until(40)
    (let_in,) = world.events("releases")
    own = let_in["id"].replace("-", "")
    assert let_in["traceparent"] == f"00-{own}-{own[16:]}-01"
    assert {trace for one in every(world).values() for trace in one} == {own}


NONE = (LABS.replace("00-", "ff-", 1), f"00-{'0' * 32}-{LABS[36:]}", f"{LABS[:36]}{'0' * 16}-01")


@pytest.mark.parametrize("none", NONE)
def test_a_trace_that_names_none_is_as_if_there_was_none(none: str) -> None:
    with_it, without = said(World(), traceparent=none), said(World())
    assert with_it.logs["announcements"] == without.logs["announcements"]


def test_each_event_has_a_span_of_its_own_which_is_the_end_of_its_id() -> None:
    world = said(World(), traceparent=LABS).until(40)
    for topic in ("releases", "announcements", "windows", "alerts", "reminders", "receipts.lab"):
        for event in world.events(topic):
            assert event["traceparent"].split("-")[2] == event["id"].replace("-", "")[16:]


def test_the_same_event_with_another_trace_is_a_repeat_and_gets_its_receipt_byte_for_byte() -> None:
    world = said(World(), traceparent=LABS, tracestate="a=1")
    again = said(said(said(world.until(1), traceparent=OTHERS)), traceparent=LABS, tracestate="b=2")
    first, *others = [record.value for record in again.logs["receipts.lab"] if b".receipt." in (record.value or b"")]
    assert others == [first] * 3
    assert len(again.events("announcements")) == 1
    assert [event.get("repeat") for event in again.events("releases")] == [None, True, True, True]
    assert traces(again, "releases") == {LABS[3:35]}


def test_a_refused_event_again_with_another_trace_is_refused_with_the_same_bytes() -> None:
    wrong = {"specversion": "1.0", "id": "one", "source": "/labs/other", "type": "herald.release.announced.v1"}
    world = World()
    for trace in (LABS, OTHERS):
        world.raw("releases.lab", json.dumps(wrong | {"data": {}, "traceparent": trace}).encode()).until(1)
    first, second = [record.value for record in world.logs["receipts.lab"]]
    assert first == second
    assert traces(world, "receipts.lab") == {LABS[3:35]}


def test_another_event_under_the_same_id_is_refused_whatever_its_trace() -> None:
    world = said(World(), traceparent=LABS)
    for trace in (LABS, OTHERS):
        world.send("releases.lab", "/labs/lab", "release.withdrawn", {"reference": "m-1"}, "one", traceparent=trace)
        assert world.receipt()["codes"] == ["id_reused"]


def test_a_later_statement_has_its_own_trace_and_the_timers_follow_it() -> None:
    world = said(World(), traceparent=LABS).until(1)
    world.send(
        "releases.lab",
        "/labs/lab",
        "release.announced",
        json.loads(world.logs["releases.lab"][0].value or b"{}")["data"] | {"trusted_partner_release_at": at(32)},
        "two",
        traceparent=OTHERS,
    ).until(40)
    by_kind = {event["type"].split(".")[2]: event["traceparent"][3:35] for event in world.events("windows")}
    assert by_kind["scheduled"] == LABS[3:35]
    assert {by_kind[kind] for kind in ("rescheduled", "opened", "closed")} == {OTHERS[3:35]}


def test_an_agencys_trace_stays_with_its_answer_and_reaches_no_other_agency() -> None:
    world = said(World(first=pushed()), traceparent=LABS)
    last = world.alerts("cyber")[-1]
    data = {"alert_id": last["alert_id"], "release_id": last["release_id"], "disposition": "participating"}
    world.send("acks.cyber", "/agencies/cyber", "acknowledgement.submitted", data, traceparent=OTHERS).until(40)
    assert "scheduled escalation lead" in world.kinds("all")
    assert traces(world, "acks", "receipts.cyber") == {OTHERS[3:35]}
    assert traces(world, "alerts", "alerts.all", "alerts.cyber", "windows", "reminders", "receipts.lab") == {LABS[3:35]}


def test_who_is_told_because_of_a_registry_version_is_told_in_the_trace_of_the_statement() -> None:
    world = said(World(), traceparent=LABS)
    agencies = json.loads(registry().model_dump_json(exclude_none=True))["agencies"]
    world.apply(registry(version=2, agencies=agencies | {"new": {"name": "New"}}))
    assert traces(world, "alerts.new") == {LABS[3:35]}


def test_a_trace_that_nobody_keeps_is_carried_as_such() -> None:
    world = said(World(), traceparent=LABS[:-2] + "00")
    assert {event["traceparent"][-2:] for event in world.events("alerts")} == {"00"}
    assert not is_sampled(world.events("alerts")[0]["traceparent"])


def test_what_comes_of_a_delivery_continues_its_attempt_in_the_trace_of_its_alert() -> None:
    """Two releases in one digest: each outcome stays in its own trace, and the attempt is sent in one of them."""
    ledger = Ledger(DELIVERIES, 0, Restored(), traced=True)
    quiet = endpoint_registry(quiet_hours={"begins": "11:00", "ends": "13:00"})
    ledger.registry = quiet
    for number, trace in enumerate((LABS, OTHERS), 1):
        asked = requested(number, 1, START, "closing-soon", routine=True)
        event: Event[Any] = Event(
            specversion="1.0",
            id=derived_id(str(number)),
            source="/services/notifier",
            type=asked.type,
            subject=asked.subject(),
            traceparent=trace,
            data=asked,
        )
        ledger.take(Item("deliveries", 0, number, START, asked.subject().encode(), encode(event)))
    ledger.confirm()
    key, timer = ledger.next_timer() or pytest.fail("nothing is due")
    ledger.fire(key, timer, timer.due_at)
    ledger.confirm()
    (effect,) = ledger.states[key].effects()
    assert effect.traceparent is not None
    assert effect.traceparent[:35] in {LABS[:35], OTHERS[:35]}
    ledger.take_outcome(key, effect.id, Attempt(0.1), timer.due_at)
    told = [json.loads(output.value or b"{}") for output in ledger.draft.outputs]
    attempt = effect.traceparent[35:]
    assert {one.continues for one in ledger.draft.told} == {LABS[:35] + attempt, OTHERS[:35] + attempt}
    assert {(one["data"]["release_id"], one["traceparent"][3:35]) for one in told} == {
        (requested(1, 1, START).alert.release_id, LABS[3:35]),
        (requested(2, 1, START).alert.release_id, OTHERS[3:35]),
    }


def test_an_event_of_before_that_has_no_trace_is_read_and_what_follows_begins_one() -> None:
    assert usable(None) is None
    own = derived_id("an event")
    assert carried(None, own)[3:35] == own.replace("-", "")
    world = said(World())
    record = world.logs["announcements"][0]
    event = json.loads(record.value or b"{}")
    del event["traceparent"]
    ledger = Ledger(world.ledgers["windows"].service, 0, Restored())
    ledger.registry = registry()
    ledger.take(Item("announcements", 0, 0, world.now, record.key, json.dumps(event).encode()))
    (told,) = [json.loads(output.value or b"{}") for output in ledger.draft.outputs]
    assert told["traceparent"][3:35] == told["id"].replace("-", "")
    assert told["data"]["happened_at"] == rfc3339(world.now)


@pytest.mark.parametrize(("given", "taken"), [(LABS, {"traceparent": LABS}), ("no trace", {}), (NONE[0], {})])
def test_the_command_takes_the_trace_from_the_environment_and_the_door_from_the_header_or_none(
    monkeypatch: pytest.MonkeyPatch, given: str, taken: dict[str, str]
) -> None:
    monkeypatch.setenv("TRACEPARENT", given)
    said = enveloped("herald.release.announced.v1", "lab", "one", {})
    assert {name: value for name, value in said.items() if name == "traceparent"} == taken
    app = FastAPI()
    app.state.spans = None
    assert heard(Request({"type": "http", "app": app, "headers": [(b"traceparent", given.encode())]})) == taken
