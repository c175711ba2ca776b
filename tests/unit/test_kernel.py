"""The kernel's own pieces, without a broker: the order of work, timers, shards, settings, clock."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from schemas.command import Command, RegistryChanged, State, Timer
from schemas.envelope import Data, Emitted
from schemas.topics import TOPICS
from services.gateway.app import SERVICE as GATEWAY
from services.kernel.assignment import assignor, shard_of_edge
from services.kernel.clock import SystemClock
from services.kernel.draft import family
from services.kernel.inbox import GATHERED, MAX_RECORDS, Inbox, Item
from services.kernel.ledger import Ledger
from services.kernel.service import Service
from services.kernel.settings import ClockSettings, SettingsError, load
from services.kernel.state import Restored
from services.kernel.timers import Timers
from services.notifier.app import SERVICE as NOTIFIER
from services.windows.app import SERVICE as WINDOWS
from tests.simulation.world import World, at, registry

NOW = datetime(2027, 3, 1, tzinfo=UTC)


def item(topic: str, offset: int, seconds: float) -> Item:
    return Item(topic, 0, offset, NOW + timedelta(seconds=seconds), b"k", b"v")


def due(seconds: float) -> Timer:
    return Timer(NOW + timedelta(seconds=seconds), "due")


class Due(State):
    at: float | None = None

    def next_timer(self) -> Timer | None:
        return due(self.at) if self.at is not None else None


def test_records_of_all_inputs_are_merged_by_append_time() -> None:
    inbox = Inbox(["a", "b"])
    inbox.lanes["a"].put([item("a", 0, 1), item("a", 1, 4)])
    inbox.lanes["b"].put([item("b", 0, 2), item("b", 1, 3)])
    order = []
    while (head := inbox.head()) is not None:
        order.append((head.topic, inbox.pop(head.topic).offset))
    assert order == [("a", 0), ("b", 0), ("b", 1), ("a", 1)]


def test_a_full_lane_asks_for_a_pause() -> None:
    inbox = Inbox(["a"])
    inbox.lanes["a"].put(item("a", n, n) for n in range(MAX_RECORDS))
    assert inbox.lanes["a"].full
    inbox.pop("a")
    assert not inbox.lanes["a"].full


def test_an_inbox_tells_whether_only_some_inputs_wait_and_whether_that_is_enough_for_a_transaction() -> None:
    inbox = Inbox(["a", "b"])
    inbox.lanes["a"].put(item("a", n, n) for n in range(GATHERED - 2))
    assert inbox.waits_only({"a"})
    inbox.lanes["b"].put([item("b", 0, 1)])
    assert not inbox.waits_only({"a"})
    assert not inbox.crowded
    inbox.lanes["a"].put([item("a", GATHERED, GATHERED)])
    assert inbox.crowded


def test_timers_come_in_due_order_and_follow_the_state() -> None:
    timers = Timers()
    timers.rebuild({"a": due(3), "b": due(1)}, {})
    assert timers.next() == ("b", due(1))
    timers.set("b", Due(at=5))
    assert timers.next() == ("a", due(3))
    timers.set("a", None)
    assert timers.next() == ("b", due(5))


def test_timers_that_move_and_move_again_behind_an_early_one_take_no_more_room_and_keep_their_order() -> None:
    timers = Timers()
    timers.rebuild({"early": due(1), "late": due(5)}, {})
    for seconds in range(10, 10_000):
        timers.set("late", Due(at=seconds))
    assert len(timers._heap) < 100
    assert timers.next() == ("early", due(1))
    timers.set("early", None)
    assert timers.next() == ("late", due(9_999))


def test_a_parked_timer_is_left_out_until_the_key_has_another() -> None:
    timers = Timers()
    timers.rebuild({"a": due(1)}, {"a": due(1).cause("a")})
    assert timers.next() is None
    timers.set("a", Due(at=2))
    assert timers.next() is not None


def _explodes(*_: object) -> list[object]:
    raise ZeroDivisionError("a bug")


def broken(**parts: object) -> World:
    """A world in which windows has a bug."""
    world = World().announce()
    service = {name: getattr(WINDOWS, name) for name in WINDOWS.__dataclass_fields__} | parts
    before = world.ledgers["windows"]
    restored = Restored.of(WINDOWS, before.states, before.positions)
    world.ledgers["windows"] = Ledger(Service(**service), 0, restored)
    world.ledgers["windows"].registry = before.registry
    return world


def test_a_decide_that_raises_makes_a_dead_letter_with_its_trace_and_the_rest_goes_on() -> None:
    world = broken(decide=_explodes).announce(handling="anew")
    (letter,) = world.logs["dead-letters"]
    assert json.loads(letter.value or b"{}")["type"] == "herald.announcement.revised.v1"
    healed = world.ledgers["windows"]
    world.ledgers["windows"] = Ledger(WINDOWS, 0, Restored.of(WINDOWS, healed.states, healed.positions))
    world.ledgers["windows"].registry = healed.registry
    assert world.announce(handling="once more").windows()[-1]["event"] == "rescheduled"


def test_a_timer_that_raises_makes_one_dead_letter_and_the_next_statement_heals_the_key() -> None:
    world = broken(decide=_explodes).until(20)
    assert [json.loads(r.value or b"{}")["timer"] for r in world.logs["dead-letters"]] == ["opens"]
    parked = world.ledgers["windows"].positions.parked
    assert len(parked) == 1
    healed = world.ledgers["windows"]
    world.ledgers["windows"] = Ledger(WINDOWS, 0, Restored.of(WINDOWS, healed.states, healed.positions))
    world.ledgers["windows"].registry = healed.registry
    world.announce(handling="anew")
    assert world.windows()[-1]["event"] == "opened"
    assert world.ledgers["windows"].positions.parked == {}
    assert world.until(31).windows()[-1]["due_at"] == at(30)


def test_a_record_that_cannot_be_decided_leaves_no_half_of_itself() -> None:
    world = broken(evolve=_explodes)
    written = len(world.logs["windows"])
    world.announce(handling="anew")
    assert len(world.logs["windows"]) == written
    assert len(world.logs["dead-letters"]) == 1


def test_now_never_goes_back_within_a_shard() -> None:
    ledger = Ledger(WINDOWS, 0, Restored())
    for seconds in (5, 3, 7):
        ledger.take(item("announcements", 0, seconds))
    ledger.confirm()
    assert ledger.positions.now == NOW + timedelta(seconds=7)


@pytest.mark.parametrize("members", [1, 2, 3, 7])
def test_shards_are_kept_whole_and_every_partition_has_one_owner(members: int) -> None:
    topics = {"herald.a": set(range(6)), "herald.b": set(range(6))}
    cluster = SimpleNamespace(partitions_for_topic=topics.get)
    kind = assignor(6, "herald.", edges=False)
    given = kind.assign(cluster, {f"m{n}": kind.metadata(topics) for n in range(members)})
    owners: dict[tuple[str, int], str] = {}
    for member, assignment in given.items():
        for topic, partitions in assignment.assignment:
            for partition in partitions:
                assert owners.setdefault((topic, partition), member) == member
    assert len(owners) == 12
    assert all(owners["herald.a", p] == owners["herald.b", p] for p in range(6))


def test_edges_of_one_shard_go_to_one_member() -> None:
    topics = {f"herald.releases.lab-{n}": {0} for n in range(40)}
    cluster = SimpleNamespace(partitions_for_topic=topics.get)
    kind = assignor(6, "herald.", edges=True)
    given = kind.assign(cluster, {m: kind.metadata(topics) for m in ("m1", "m2")})
    shards: dict[int, set[str]] = {}
    for member, assignment in given.items():
        for topic, _ in assignment.assignment:
            shards.setdefault(shard_of_edge(topic.removeprefix("herald."), 6), set()).add(member)
    assert all(len(members) == 1 for members in shards.values())
    assert sum(len(a.assignment) for a in given.values()) == 40


def test_a_member_of_a_newer_build_with_one_more_input_gets_whole_shards() -> None:
    topics = {"herald.a": set(range(6)), "herald.b": set(range(6))}
    cluster = SimpleNamespace(partitions_for_topic=topics.get)
    kind = assignor(6, "herald.", edges=False)
    given = kind.assign(cluster, {"m1": kind.metadata(["herald.a"]), "m2": kind.metadata(list(topics))})
    newer = dict(given["m2"].assignment)
    assert newer["herald.a"] == newer["herald.b"] == [3, 4, 5]
    assert dict(given["m1"].assignment) == {"herald.a": [0, 1, 2]}


def test_every_topic_has_its_family() -> None:
    assert family("alerts") == "alerts"
    assert family("alerts.cisa") == "alerts.{agency}"
    assert family("receipts.lab") == "receipts.{participant}"
    assert family("state.windows") == "state.{service}"
    assert {family(topic.name) for topic in TOPICS} == {topic.name for topic in TOPICS}


def test_the_accelerated_clock_runs_from_its_base() -> None:
    base = datetime(2026, 1, 1, tzinfo=UTC)
    clock = SystemClock(ClockSettings(rate=86400, started_at=base, starts_from=NOW))
    assert clock.at(int(base.timestamp() * 1000) + 1000) == NOW + timedelta(days=1)


def test_a_wrong_setting_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_KAFKA__SECURITY_PROTOCOL", "TLS")
    with pytest.raises(SettingsError, match=r"^HERALD_KAFKA__SECURITY_PROTOCOL: "):
        load()


def test_a_password_never_stands_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_KAFKA__SASL_PASSWORD", "correct-horse")
    assert "correct-horse" not in repr(load())
    assert "correct-horse" not in load().model_dump_json()


def test_a_registry_version_that_could_not_be_decided_for_a_key_is_decided_when_it_is_given_back() -> None:
    world = World().announce(audience={"mode": "matching"})

    def fails(state: Any, command: Command, now: datetime) -> list[Emitted]:
        if isinstance(command, RegistryChanged):
            raise RuntimeError("cannot decide this")
        return NOTIFIER.decide(state, command, now)

    before = world.ledgers["notifier"]
    broken = Ledger(replace(NOTIFIER, decide=fails), 0, Restored.of(NOTIFIER, before.states, before.positions))
    world.ledgers["notifier"] = broken
    newcomer = json.loads(registry().model_dump_json())["agencies"] | {"new": {"name": "New"}}
    world.apply(registry(version=2, agencies=newcomer))
    (letter,) = world.logs["dead-letters"]
    assert world.alerts("new") == []
    (place,) = broken.positions.buried
    mended = Ledger(NOTIFIER, 0, Restored.of(NOTIFIER, broken.states, broken.positions))
    mended.registry = broken.registry
    headers = {"service": "notifier", "reason": "registry", "topic": place.rpartition("@")[0], "offset": "1"}
    given = [(f"herald-{name}", value.encode()) for name, value in headers.items()]
    mended.take(Item("replays", 0, 0, world.now, letter.key, letter.value, given))
    assert mended.draft.replays == ["decided"]
    assert [output.topic for output in mended.draft.outputs if output.topic.startswith("alerts.")] == ["alerts.new"]
    mended.take(Item("replays", 0, 1, world.now, letter.key, letter.value, given))
    assert mended.draft.replays == ["decided", "refused"]
    mended.take(Item("replays", 0, 2, world.now, letter.key, b"no letter", ()))
    assert mended.draft.dead_letters[-1]["reason"] == "undecidable"


class Said(Data):
    """Something that a service says of a subject, on a topic."""

    type: ClassVar[str] = "herald.test.said.v1"

    about: str
    topic: str

    def subject(self) -> str:
        return self.about

    def topics(self) -> tuple[str, ...]:
        return (self.topic,)


@pytest.mark.parametrize(
    ("service", "key", "about", "topic", "partition"),
    [
        (NOTIFIER, "release", "release", "alerts", 4),
        (NOTIFIER, "release", "release", "alerts.cisa", None),
        (NOTIFIER, "release", "cisa/desk", "deliveries", None),
        (GATEWAY, "releases.lab#1", "release", "releases", None),
        (replace(NOTIFIER, keyed_by="endpoint"), "cisa/desk", "cisa/desk", "deliveries", 4),
        (replace(NOTIFIER, keyed_by="endpoint"), "cisa/desk", "cisa/mail", "deliveries", None),
        (replace(NOTIFIER, keyed_by="endpoint"), "cisa/desk", "release", "delivery-outcomes", None),
    ],
)
def test_what_is_keyed_as_the_service_stays_in_its_partition_and_all_else_is_placed_by_key(
    service: Service, key: str, about: str, topic: str, partition: int | None
) -> None:
    said = Said(about=about, topic=topic)
    decided = replace(service, decide=lambda *_: [said], evolve=lambda state, _: state)
    ledger = Ledger(decided, 4, Restored.of(replace(decided, parts=None), {key: Due(at=1)}))
    ledger.fire(key, Timer(NOW, "due"), NOW)
    assert [(output.topic, output.partition) for output in ledger.draft.outputs] == [(topic, partition)]
