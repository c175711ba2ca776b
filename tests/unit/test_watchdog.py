"""The watchdog's rounds on the real deciders, on a virtual clock: each hop missing, restarts, weeks of rounds."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from math import isnan
from typing import Any

import pytest
import structlog
from aiokafka.errors import KafkaError, KafkaTimeoutError
from pydantic import ValidationError

from schemas import registry_file
from schemas.alert import AlertIssued, DisclosureMade
from schemas.delivery import NoticeRequested
from schemas.envelope import Data, Event, encode, reader
from schemas.heartbeat import HeartbeatBeat
from schemas.receipt import ReceiptAccepted, ReceiptRefused, ReceiptUnchanged
from schemas.registry import Registry
from schemas.watchdog import AGENCY, LAB, enrolled
from schemas.yaml_file import FileError
from services.cli.drill_plan import taking_part
from services.gateway.model.projection import Recorded, changes
from services.kernel.catalogue import SHOWN
from services.kernel.clock import VirtualClock
from services.kernel.settings import WatchdogSettings
from services.watchdog import metrics
from services.watchdog.decide import written
from services.watchdog.patrol import Patrol
from services.watchdog.state import REFERENCES
from tests.simulation.world import START, World, registry

EVERY = timedelta(minutes=5)
HEARD = (f"alerts.{AGENCY}", f"receipts.{AGENCY}", f"receipts.{LAB}")
FILE = registry_file.load("labs: {lab: {name: Lab}}\nagencies: {desk: {name: Desk, exercises: true}}\n")
READ = reader(AlertIssued, ReceiptAccepted, ReceiptUnchanged, ReceiptRefused, DisclosureMade)


def world() -> World:
    return World(enrolled(registry()))


@dataclass(slots=True)
class Wire:
    """Kafka, as far as the watchdog sees it: the simulated world's logs. Waiting moves its clock."""

    world: World
    clock: VirtualClock
    positions: dict[str, int] = field(default_factory=dict)
    beats: list[HeartbeatBeat] = field(default_factory=list)
    begins: bool = True
    on_duty: bool = True
    unanswered: int = 0
    asking: Registry = field(default_factory=Registry)
    told: list[NoticeRequested] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    async def registry(self) -> Registry:
        self.unanswered -= 1
        if self.unanswered >= 0:
            raise KafkaTimeoutError
        return self.asking

    async def tell(self, notice: NoticeRequested) -> None:
        self.told.append(notice)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def entered(self) -> bool:
        return True

    async def begin(self) -> bool:
        begins, self.begins = self.begins, False
        if begins:
            self.positions = {topic: len(self.world.logs[topic]) for topic in HEARD}
            self.positions[HEARD[0]] = 0
        return begins

    async def caught_up(self) -> bool:
        return True

    async def hear(self, seconds: float) -> list[Event[Any]]:
        self.waits.append(seconds)
        found = []
        for topic, position in self.positions.items():
            records = self.world.logs[topic][position:]
            self.positions[topic] += len(records)
            found += [READ.validate_json(record.value or b"", extra="ignore") for record in records]
        if not found:
            self.clock.move_to(self.clock.now() + timedelta(seconds=max(seconds, 0.001)))
            self.world.until(self.clock.now())
        return found

    async def say(self, said: Data, event_id: str) -> None:
        topic, event = written(said, event_id)
        self.world.raw(topic, encode(event))

    async def beat(self, beat: HeartbeatBeat) -> None:
        self.beats.append(beat)

    async def last_beat(self) -> HeartbeatBeat | None:
        self.unanswered -= 1
        if self.unanswered >= 0:
            raise KafkaTimeoutError
        return self.beats[-1] if self.beats else None


class Watch:
    """A watchdog in a simulated world."""

    def __init__(self, world: World, beats: list[HeartbeatBeat] | None = None, every: timedelta = EVERY) -> None:
        clock = VirtualClock(world.now)
        self.world, self.wire = world, Wire(world, clock, beats=beats or [])
        self.patrol, self.clock = Patrol(self.wire, clock, every), clock  # type: ignore[arg-type]

    def until(self, instant: datetime) -> list[dict[str, Any]]:
        """Watches until then; returns what it logged."""

        async def watching() -> None:
            while self.clock.now() < instant:
                with suppress(KafkaError):
                    await self.patrol._turn()

        with structlog.testing.capture_logs() as logs:
            asyncio.run(watching())
        return [dict(entry) for entry in logs]

    def alerts(self) -> list[str]:
        return [alert["kind"] for alert in self.world.alerts(AGENCY)]


def outcomes(logs: list[dict[str, Any]]) -> list[str]:
    names = {"watchdog_round_succeeded": "succeeded", "watchdog_round_failed": "failed"}
    found = [entry for entry in logs if entry["event"] in names]
    return [f"{names[entry['event']]} {entry.get('missing', '')}".strip() for entry in found]


def shown(name: str) -> float | None:
    """A metric as it is served; None: it is not known."""
    (found,) = (one for one in SHOWN["watchdog"] if next(iter(one.describe())).name == name)
    value: float = next(iter(found.collect())).samples[0].value
    return None if isnan(value) else value


def minutes(number: float) -> datetime:
    return START + timedelta(minutes=number)


def test_a_round_goes_the_whole_way_every_few_minutes_and_leaves_nothing_that_asks() -> None:
    watch = Watch(world())
    assert outcomes(watch.until(minutes(12))) == ["succeeded"] * 3
    assert watch.alerts() == ["scheduled", "withdrawn"] * 3
    assert {alert["life"] for alert in watch.world.alerts(AGENCY)} == {1, 2, 3}
    assert [alert["sequence"] for alert in watch.world.alerts(AGENCY)] == [1, 2, 3, 4, 5, 6]
    assert all(alert["exercise"] for alert in watch.world.alerts(AGENCY))
    assert len(watch.world.events("acknowledgements", "recorded")) == 6
    watch.world.until(40)
    assert watch.world.events("acknowledgements", "overdue") == []
    assert watch.world.events("reminders") == []


def test_nobody_else_is_told_of_a_round_and_the_desk_is_told_of_nothing_else() -> None:
    watch = Watch(world())
    watch.world.announce().announce("other", exercise=True, event_id="drill")
    watch.until(minutes(2))
    told = [event["data"] for event in watch.world.events("alerts")]
    assert {alert["agency"] for alert in told if alert["content"]["lab"] == LAB} == {AGENCY}
    assert {alert["content"]["lab"] for alert in watch.world.alerts(AGENCY)} == {LAB}


@pytest.mark.parametrize(
    ("down", "missing"),
    [
        ("gateway", "gateway or announcements"),
        ("announcements", "gateway or announcements"),
        ("windows", "windows or notifier"),
        ("notifier", "windows or notifier"),
        ("acknowledgements", "gateway or acknowledgements"),
    ],
)
def test_a_round_that_is_not_through_by_the_next_names_the_hop_and_recovers(down: str, missing: str) -> None:
    watch = Watch(world())
    watch.until(minutes(1))
    succeeded_at = shown("herald_watchdog_last_success_timestamp_seconds")
    watch.world.down.add(down)
    logs = watch.until(minutes(16))
    assert outcomes(logs) == [f"failed {missing}"] * 2
    assert all(entry["log_level"] == "warning" for entry in logs if "failed" in entry["event"])
    assert shown("herald_watchdog_last_success_timestamp_seconds") == succeeded_at
    watch.world.down.discard(down)
    watch.world.settle()
    assert outcomes(watch.until(minutes(26)))[-1] == "succeeded"
    assert watch.alerts()[-1] == "withdrawn"
    watch.world.until(40)
    assert watch.world.events("acknowledgements", "overdue") == []


def test_no_round_is_in_the_doors_read_model() -> None:
    watch = Watch(world())
    watch.until(minutes(2))
    for topic in ("announcements", "windows", "acknowledgements"):
        assert watch.world.logs[topic]
        for offset, record in enumerate(watch.world.logs[topic]):
            assert changes(Recorded(topic, 0, offset, 0, record.value or b"")) == []


def test_a_refusal_ends_a_round_at_once_and_is_logged_by_its_code() -> None:
    watch = Watch(World(registry()))  # whose registry does not know the watchdog
    logs = watch.until(minutes(1))
    assert outcomes(logs) == ["failed gateway or announcements"]
    assert logs[-1]["refused"] == ["unknown_participant"]


@pytest.mark.parametrize("stop_at", range(1, 8))
def test_a_watchdog_that_died_in_a_round_leaves_nothing_that_is_chased_once_another_watches(stop_at: int) -> None:
    stage = world()
    first = Watch(stage)

    async def some() -> None:
        for _ in range(stop_at):
            await first.patrol._turn()

    asyncio.run(some())
    stage.until(stage.now + timedelta(seconds=5))
    second = Watch(stage, first.wire.beats)
    assert "succeeded" in outcomes(second.until(stage.now + EVERY / 2))
    assert second.alerts()[-1] == "withdrawn"
    stage.until(40)
    assert stage.events("acknowledgements", "overdue") == []


def test_a_start_is_no_alarm_an_earlier_success_counts_and_who_stands_by_shows_nothing() -> None:
    stage = world()
    first = Watch(stage)
    first.until(minutes(7))
    assert first.wire.beats[-1].last_success_at is not None
    metrics.hide()
    assert shown("herald_watchdog_last_success_timestamp_seconds") is None
    stage.until(minutes(20))
    stage.down.add("notifier")
    second = Watch(stage, list(first.wire.beats))
    second.until(minutes(21))
    last = first.wire.beats[-1].last_success_at.timestamp()
    assert shown("herald_watchdog_last_success_timestamp_seconds") == last
    third = Watch(stage)  # nobody ever wrote a heartbeat: it counts from now
    third.until(minutes(22))
    assert shown("herald_watchdog_last_success_timestamp_seconds") == pytest.approx(minutes(21).timestamp(), abs=2)
    third.wire.on_duty = False
    third.until(minutes(23))
    assert shown("herald_watchdog_last_success_timestamp_seconds") is None


def test_duty_that_could_not_be_taken_because_kafka_did_not_answer_is_taken_later() -> None:
    watch = Watch(world())
    watch.wire.unanswered = 3
    assert outcomes(watch.until(minutes(1))) == ["succeeded"]
    assert shown("herald_watchdog_last_success_timestamp_seconds") is not None


def test_a_heartbeat_comes_each_minute_and_after_a_success_and_goes_on_when_rounds_fail() -> None:
    watch = Watch(world())
    watch.until(minutes(3))
    watch.world.down.add("windows")
    watch.until(minutes(30))
    beats = watch.wire.beats
    assert all(later.beat_at < earlier.next_by for earlier, later in pairwise(beats))
    assert len(beats) in range(30, 34)
    assert beats[-1].last_success_at == beats[4].last_success_at


def test_a_daily_line_is_asked_for_once_a_day_after_a_round_and_not_while_none_comes_through() -> None:
    hook = {"channel": "webhook", "tier": "watch", "url": "https://a.example", "secrets": ["env:A"]}
    noon = (START + timedelta(minutes=12)).strftime("%H:%M")
    endpoints = {"desk": hook | {"alive_at": noon}}
    asking = Registry.model_validate({"agencies": {"agency-a": {"name": "A", "endpoints": endpoints}}}, strict=False)
    watch = Watch(world(), every=timedelta(minutes=30))
    watch.wire.asking = asking
    watch.until(minutes(8))
    assert watch.wire.told == []  # a first round has no day behind it
    watch.wire.unanswered = 1  # the registry cannot be read: it is asked for after the next round
    assert "daily_line_failed" in {entry["event"] for entry in watch.until(minutes(45))}
    assert watch.wire.told == []
    watch.until(minutes(100))
    (first,) = watch.wire.told
    assert (first.agency, first.endpoint, first.notice) == ("agency-a", "desk", "alive")
    watch.world.down.add("windows")
    watch.until(minutes(26 * 60))
    assert watch.wire.told == [first]
    watch.world.down.discard("windows")
    watch.world.settle()
    second = Watch(watch.world, watch.wire.beats, timedelta(minutes=30))  # another that takes over
    second.wire.asking = asking
    second.until(minutes(28 * 60))
    assert [line.agency for line in second.wire.told] == ["agency-a"]
    assert second.wire.told[0].notice_id != first.notice_id


def test_when_a_reference_comes_round_again_its_states_have_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.watchdog.patrol._WAIT_SECONDS", 86400.0)
    monkeypatch.setattr("services.watchdog.patrol.BEAT", timedelta(days=1))
    watch = Watch(world(), every=timedelta(hours=24))
    watch.until(START + timedelta(days=2.5))
    before = _sizes(watch.world)
    watch.until(START + timedelta(days=33.5))
    assert len({alert["release_id"] for alert in watch.world.alerts(AGENCY)}) == REFERENCES // 24
    assert {alert["life"] for alert in watch.world.alerts(AGENCY)} == {1, 2}
    after = _sizes(watch.world)
    assert {name: (size, after[name]) for name, size in before.items() if after[name] > size + 20} == {}


def _sizes(stage: World) -> dict[str, int]:
    """How large each state is by now, but those that keep the last 16 answers, or the last ids, and no more."""
    topics = [f"state.{service}" for service in ("windows", "notifier", "acknowledgements")]
    latest = {(topic, record.key): len(record.value or b"") for topic in topics for record in stage.logs[topic]}
    return {f"{topic} {key.decode()}": size for (topic, key), size in latest.items() if not key.startswith(b"!")}


def test_each_reference_rests_longer_than_states_are_kept() -> None:
    assert timedelta(hours=REFERENCES - 1) > timedelta(days=30)


def test_the_watchdogs_ids_are_nobody_elses_and_a_registry_in_force_has_them() -> None:
    for text in (f"labs: {{{LAB}: {{name: X}}, {AGENCY}: {{name: X}}}}\n", f"agencies: {{{AGENCY}: {{name: X}}}}\n"):
        with pytest.raises(FileError, match="Herald's own"):
            registry_file.load(text)
    found = enrolled(FILE)
    assert (set(found.labs), set(found.agencies)) == ({"lab", LAB}, {"desk", AGENCY})
    assert enrolled(found) == registry_file.load(found.model_dump_json(exclude_none=True)) == found
    assert taking_part(Registry(**dict(found)), []) == ("desk",)


def test_the_interval_is_read_as_seconds_or_as_a_duration_and_is_no_less_than_a_second() -> None:
    assert {WatchdogSettings.model_validate({"every": said}).every for said in ("90", "PT90S", "PT1M30S")} == {
        timedelta(seconds=90)
    }
    for wrong in ("0", "often", "PT0.5S"):
        with pytest.raises(ValidationError):
            WatchdogSettings.model_validate({"every": wrong})


def test_an_event_of_a_round_is_what_the_contract_says() -> None:
    watch = Watch(world())
    watch.until(minutes(1))
    (announced, withdrawn) = [json.loads(record.value or b"") for record in watch.world.logs[f"releases.{LAB}"]]
    assert (announced["source"], withdrawn["type"]) == (f"/labs/{LAB}", "herald.release.withdrawn.v1")


def test_it_always_waits_a_little_so_that_what_keeps_it_in_its_group_gets_its_turn() -> None:
    watch = Watch(world())
    watch.until(minutes(12))
    assert min(watch.wire.waits) > 0
    watch.wire.on_duty = False
    watch.wire.waits.clear()
    watch.until(minutes(24))
    assert set(watch.wire.waits) == {1.0}
