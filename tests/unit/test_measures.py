"""What is counted and shown: gauges that follow from state, lag, and what an alert's latency is measured from."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Gauge

from schemas.credential import CredentialIssued
from schemas.envelope import encode
from services.announcements.app import SERVICE as ANNOUNCEMENTS
from services.gateway.app import SERVICE as GATEWAY
from services.gateway.door.expiring import Expiring
from services.kernel.catalogue import CERTIFICATE_EXPIRY, TOKEN_EXPIRY
from services.kernel.clock import EPOCH, VirtualClock
from services.kernel.expiry import show_expiry
from services.kernel.first_look import MOST_HELD, FirstLook
from services.kernel.gauges import Part, StateGauges, _Instants
from services.kernel.inbox import Inbox, Item
from services.kernel.lag import Lag
from services.kernel.ledger import Ledger
from services.kernel.origin import HEADER, Origin, origin_of
from services.kernel.settings import DoorSettings, Settings
from services.kernel.state import Restored
from services.notifier.app import SERVICE as NOTIFIER
from services.windows.app import SERVICE as WINDOWS
from tests.broker.certificates import self_signed
from tests.simulation.world import World, pushed, registry

NOW = datetime(2027, 3, 1, tzinfo=UTC)


def gauge() -> Gauge:
    return Gauge("shown", "Of a test.", ["of"], registry=None)


def shown(one: Any) -> dict[tuple[str, ...], float]:
    """What a metric shows, by its labels."""
    found: dict[tuple[str, ...], float] = {}
    for family in one.collect():
        found |= {tuple(sample.labels.values()): sample.value for sample in family.samples}
    return found


def test_a_gauge_of_states_is_the_sum_over_the_shards_that_are_here() -> None:
    counted = gauge()
    first, second = StateGauges(), StateGauges()
    is_open, is_closed = Part(counted, ("open",)), Part(counted, ("closed",))
    first.open({"a": (is_open,), "b": (is_open, is_closed)})
    second.open({"c": (is_open,)})
    assert shown(counted) == {("open",): 3, ("closed",): 1}
    first.changed("b", (is_closed,))
    first.changed("a", ())
    assert shown(counted) == {("open",): 1, ("closed",): 1}
    first.close()
    assert shown(counted) == {("open",): 1, ("closed",): 0}
    first.open({"b": (is_closed,)})
    assert shown(counted) == {("open",): 1, ("closed",): 1}


def test_instants_that_come_and_go_behind_an_early_one_take_no_more_room() -> None:
    instants = _Instants()
    instants.move(1.0, 1)
    for at in range(10, 10_000):
        instants.move(float(at), 1)
        instants.move(float(at), -1)
    assert len(instants._heap) < 100
    instants.move(9_999.5, 1)
    assert instants.earliest() == 1.0
    instants.move(1.0, -1)
    assert instants.earliest() == 9_999.5


def test_the_earliest_instant_is_shown_and_nothing_where_there_is_none() -> None:
    counted = gauge()
    ours = StateGauges()
    first, second, third = (Part(counted, ("cisa",), NOW + timedelta(hours=hour)) for hour in (1, 2, 3))
    ours.open({"a": (third, first), "b": (second,)})
    assert shown(counted) == {("cisa",): (NOW + timedelta(hours=1)).timestamp()}
    ours.changed("a", (third,))
    assert shown(counted) == {("cisa",): (NOW + timedelta(hours=2)).timestamp()}
    ours.changed("b", ())
    ours.changed("c", (third,))
    ours.changed("a", ())
    assert shown(counted) == {("cisa",): (NOW + timedelta(hours=3)).timestamp()}
    ours.close()
    assert shown(counted) == {}


def test_lag_is_what_is_held_and_what_stands_in_the_log_since_it_was_noticed() -> None:
    clock, inbox = VirtualClock(NOW), Inbox(["windows", "acks"])
    lag = Lag(clock)
    assert (lag.records(inbox), lag.seconds(inbox)) == (0, 0)
    inbox.lanes["acks"].put([Item("acks", 0, n, NOW - timedelta(seconds=7), b"k", b"v") for n in range(3)])
    assert (lag.records(inbox), lag.seconds(inbox)) == (3, 7)
    drafted = [Item("acks", 0, 0, NOW - timedelta(seconds=9), b"k", b"v")]
    assert (lag.records(inbox, drafted), lag.seconds(inbox, drafted)) == (4, 9)  # what hangs in a transaction waits too
    inbox = Inbox(["windows", "acks"])
    lag.looked({"windows": 10, "acks": 5}, {"windows": 6, "acks": 5})
    clock.move_to(NOW + timedelta(seconds=40))
    lag.looked({"windows": 12, "acks": 5}, {"windows": 9, "acks": 5})
    assert (lag.records(inbox), lag.seconds(inbox)) == (3, 40)
    lag.looked({"windows": 12, "acks": 5}, {"windows": 10, "acks": 5})  # what was noticed first has been given
    assert (lag.records(inbox), lag.seconds(inbox)) == (2, 0)


def test_what_is_counted_before_the_first_look_is_counted_after_it() -> None:
    look, counted = FirstLook(), list[str]()
    look.then(lambda: counted.append("late"))
    assert counted == []
    look.over()
    look.then(lambda: counted.append("later"))
    look.over()
    assert counted == ["late", "later"]


def test_where_nobody_looks_all_is_counted_in_the_end() -> None:
    look, counted = FirstLook(), list[int]()
    for number in range(MOST_HELD + 1):
        look.then(partial(counted.append, number))
    assert counted == list(range(MOST_HELD + 1))


def headers(ledger: Ledger) -> dict[str, str | None]:
    """What the outputs of a draft go back to, by topic."""
    return {o.topic: dict(o.headers).get(HEADER, b"").decode() or None for o in ledger.draft.outputs}


def millis(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)


def test_what_an_alert_is_measured_from_is_carried_on_but_never_to_participants() -> None:
    world, edge = World(), Ledger(GATEWAY, 0, Restored())
    edge.registry = registry()
    world.announce()
    taken = world.logs["releases.lab"][0]
    edge.take(Item("releases.lab", 0, 0, NOW, taken.key, taken.value))
    assert headers(edge) == {"releases": f"statement {millis(NOW)}"}
    ((_, carried),) = [h for o in edge.draft.outputs for h in o.headers if h[0] == HEADER]
    window = world.logs["windows"][0]
    notifier = Ledger(NOTIFIER, 0, Restored())
    notifier.registry = registry()
    late = NOW + timedelta(hours=1)
    notifier.take(Item("windows", 0, 0, late, window.key, window.value, [(HEADER, carried)]))
    found = headers(notifier)
    assert found["alerts"] == f"statement {millis(NOW)}"
    assert found["alerts.all"] is found["receipts.lab"] is None
    assert {event.origin for event in notifier.draft.events} == {Origin("statement", NOW)}


def test_what_comes_by_time_goes_back_to_its_due_time() -> None:
    world = World().announce()
    windows = world.ledgers["windows"]
    found = windows.next_timer()
    assert found is not None
    key, timer = found
    windows.fire(key, timer, timer.due_at + timedelta(minutes=5))
    assert headers(windows) == {"windows": f"time {millis(timer.due_at)}"}


def test_what_follows_from_the_registry_goes_back_to_when_the_log_took_it() -> None:
    world = World().announce(audience={"mode": "matching"})
    notifier = world.ledgers["notifier"]
    newer = registry(version=2, agencies={**_agencies(), "new": {"name": "New"}})
    event = newer.stamped(cause="2", ordinal=0, source="/services/registry", time=NOW)
    notifier.take(Item("registry-versions", 0, 1, NOW + timedelta(days=1), b"registry", encode(event)))
    notifier.sweep()
    assert headers(notifier)["alerts"] == f"registry {millis(NOW + timedelta(days=1))}"


def _agencies() -> dict[str, Any]:
    return {name: one.model_dump(mode="json", exclude_none=True) for name, one in registry().agencies.items()}


@pytest.mark.parametrize("said", [b"", b"statement", b"hearsay 5", b"time x", b"\xff\xfe 7"])
def test_a_header_that_says_nothing_is_no_origin(said: bytes) -> None:
    assert origin_of([("content-type", b"x"), (HEADER, said)]) is None
    assert origin_of([(HEADER, b"time 5")]) == Origin("time", EPOCH + timedelta(milliseconds=5))


def test_a_strangers_header_on_an_edge_is_not_believed() -> None:
    edge = Ledger(GATEWAY, 0, Restored())
    edge.registry = registry()
    value = b'{"specversion":"1.0","id":"e","source":"/labs/lab","type":"herald.release.withdrawn.v1","data":'
    said = value + b'{"reference":"m-1"}}'
    edge.take(Item("releases.lab", 0, 0, NOW, b"", said, [(HEADER, b"time 5")]))
    assert headers(edge) == {"releases": f"statement {millis(NOW)}"}


def test_the_trace_of_a_record_is_known_of_what_follows() -> None:
    world = World().announce()
    taken = world.logs["releases"][0].value or b""
    trace_id = json.loads(taken)["traceparent"].split("-")[1]
    announcements = Ledger(ANNOUNCEMENTS, 0, Restored())
    announcements.take(Item("releases", 0, 0, NOW, b"k", taken))
    assert {event.trace_id for event in announcements.draft.events} == {trace_id}


def test_windows_are_shown_by_status_and_drills_apart() -> None:
    world = World(registry())
    world.announce(reference="m-1").announce(reference="drill", exercise=True)
    assert WINDOWS.parts is not None
    parts = [part for state in world.ledgers["windows"].states.values() for part in WINDOWS.parts(state)]
    assert sorted(part.labels for part in parts) == [("scheduled", "false"), ("scheduled", "true")]
    world.until(65)
    assert [p for s in world.ledgers["windows"].states.values() for p in WINDOWS.parts(s)] == []


def awaited(world: World) -> list[tuple[str, ...]]:
    """Whom acknowledgements wait for."""
    service = world.ledgers["acknowledgements"].service
    assert service.parts is not None
    states = world.ledgers["acknowledgements"].states.values()
    return sorted(part.labels for state in states for part in service.parts(state))


def test_unanswered_alerts_are_shown_by_how_far_the_chase_is() -> None:
    world = World().announce()
    assert awaited(world) == [("all", "asked", "false"), ("cyber", "asked", "false")]
    world.answer("cyber")
    world.until(1.01)
    assert awaited(world) == [("all", "reminded", "false")]
    world.until(2.5)
    assert awaited(world) == [("all", "escalated", "false")]
    world.until(9)
    assert awaited(world) == [("all", "exhausted", "false")]
    world.answer("all")
    assert awaited(world) == []


def test_an_alert_that_no_endpoint_of_a_tier_has_taken_is_shown_until_one_has() -> None:
    world = World(pushed())
    assert NOTIFIER.parts is not None
    world.announce()
    states = world.ledgers["notifier"].states.values()
    parts = [part for state in states for part in NOTIFIER.parts(state)]
    assert {(part.labels, part.since) for part in parts} == {
        (("all", "false"), None),
        (("all",), world.now),
    }
    world.outcome(world.requests("all/desk")[0])
    states = world.ledgers["notifier"].states.values()
    assert [part for state in states for part in NOTIFIER.parts(state)] == []


def test_a_certificate_is_read_anew_when_its_file_is_replaced(tmp_path: Path) -> None:
    cert, _ = self_signed(tmp_path / "door.pem")
    show_expiry(Settings(door=DoorSettings(tls_certfile=cert)))
    until = shown(CERTIFICATE_EXPIRY)["door", ""]
    assert until > datetime.now(UTC).timestamp()
    cert.unlink()
    assert shown(CERTIFICATE_EXPIRY)["door", ""] == 0  # one that cannot be read is no good


def token(name: str, days: float, participant: str = "cisa", **more: Any) -> CredentialIssued:
    return CredentialIssued(
        token_id=name * 12,
        participant=participant,
        name="a test",
        secret_sha256="0" * 64,
        issued_at=NOW,
        expires_at=NOW + timedelta(days=days),
        **more,
    )


def test_the_first_token_to_end_is_shown_for_each_participant_and_none_that_has_ended() -> None:
    expiring, in_a_day = Expiring(), (NOW + timedelta(days=1)).timestamp()
    of_ci = token("c", 0.1, identity_expires_at=NOW + timedelta(hours=1))
    expiring.show([token("a", 1), token("b", 3), of_ci, token("d", 5, "dod")], NOW)
    assert shown(TOKEN_EXPIRY) == {("cisa",): in_a_day, ("dod",): in_a_day + 4 * 86400}
    expiring.show([token("a", 1), token("b", 3)], NOW + timedelta(days=2))
    assert shown(TOKEN_EXPIRY) == {("cisa",): in_a_day + 2 * 86400}
    expiring.show([], NOW)
    assert not shown(TOKEN_EXPIRY)
