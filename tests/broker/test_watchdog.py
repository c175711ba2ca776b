"""The watchdog on a real Kafka: rounds, a hop that is missing and comes back, a second one, a kill -9, daily lines."""

import asyncio
import json
import signal
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import encode
from schemas.heartbeat import HeartbeatBeat
from schemas.registry import Registry
from schemas.watchdog import AGENCY, LAB, enrolled
from tests.broker.deployment import ALL, Deployment, Process
from tests.broker.flow import registry
from tests.broker.receivers import SECRET, Hooks

pytestmark = pytest.mark.timeout(120)


def entries(process: Process, event: str) -> list[dict[str, Any]]:
    """What a process has logged of one kind."""
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def measured(process: Process) -> dict[str, float]:
    """The watchdog's metrics that a process serves."""
    with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    pairs = [line.split() for line in lines if line.startswith(("herald_watchdog", "herald_heartbeat", "herald_audit"))]
    return {name: float(value) for name, value in pairs if value != "NaN"}


async def says(process: Process, event: str, count: int = 1) -> None:
    """Waits until a process has logged so many of one kind."""
    until = time.monotonic() + 60
    while len(entries(process, event)) < count:
        assert time.monotonic() < until, f"no {event}: {process.log.read_text()[-3000:]}"
        await asyncio.sleep(0.05)


def last_success(process: Process) -> str:
    """When a round of this one came through last; empty: none has."""
    done = entries(process, "watchdog_round_succeeded")
    return str(done[-1]["logged_at"]) if done else ""


async def go_on(*processes: Process, rounds: int) -> None:
    """Waits until so many more rounds have come through, whoever watches."""

    def done() -> int:
        return sum(len(entries(one, "watchdog_round_succeeded")) for one in processes)

    wanted, until = done() + rounds, time.monotonic() + 60
    while done() < wanted:
        assert time.monotonic() < until, "of several watchdogs none watches"
        await asyncio.sleep(0.05)


async def test_rounds_succeed_a_missing_hop_is_named_and_all_recovers_also_from_a_kill(
    kafka: str, tmp_path: Path
) -> None:
    env = {"HERALD_WATCHDOG__EVERY": "PT4S", "HERALD_LOG_FORMAT": "json"}
    deployment = Deployment(kafka, "watchdog.", tmp_path, partitions=2, env=env)
    try:
        (first,) = deployment.start("watchdog")
        await deployment.ready(first)
        assert measured(first) == {}, "no topics yet: nothing is watched, and nothing is an alarm"
        await deployment.prepare(enrolled(registry()))
        deployment.start(*ALL)
        notifier = next(one for one in deployment.processes if one.name == "notifier")
        await says(first, "watchdog_round_succeeded", 2)
        assert measured(first)["herald_watchdog_round_seconds"] > 0
        before = measured(first)["herald_watchdog_last_success_timestamp_seconds"]

        notifier.signal(signal.SIGTERM)
        failed = len(entries(first, "watchdog_round_failed"))
        await says(first, "watchdog_round_failed", failed + 2)
        assert entries(first, "watchdog_round_failed")[-1]["missing"] == "windows or notifier"
        deployment.start("notifier")
        done = len(entries(first, "watchdog_round_succeeded"))
        await says(first, "watchdog_round_succeeded", done + 1)
        assert measured(first)["herald_watchdog_last_success_timestamp_seconds"] > before

        (second,) = deployment.start("watchdog")
        await deployment.ready(second)
        await go_on(first, second, rounds=4)  # both are there by then, and one of them watches
        heir, on_duty = sorted((first, second), key=last_success)
        known, done = len(entries(heir, "watchdog_on_duty")), len(entries(heir, "watchdog_round_succeeded"))
        on_duty.kill()
        await says(heir, "watchdog_on_duty", known + 1)
        failed = len(entries(heir, "watchdog_round_failed"))
        await says(heir, "watchdog_round_succeeded", done + 2)
        assert len(entries(heir, "watchdog_round_failed")) == failed
    finally:
        deployment.stop()
    beats = [event["data"] for event in await deployment.events("heartbeat")]
    assert beats[-1]["last_success_at"] > beats[1]["last_success_at"]
    alerts = [event["data"] for event in await deployment.events(f"alerts.{AGENCY}")]
    assert {alert["content"]["lab"] for alert in alerts} == {LAB}
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts)
    assert await deployment.events("alerts.agency-a") == []


async def test_a_webhook_that_asks_for_it_is_told_once_a_day_that_all_is_well(
    kafka: str, tmp_path: Path, hooked: Hooks
) -> None:
    env = {"HERALD_WATCHDOG__EVERY": "PT2S", "HERALD_LOG_FORMAT": "json", "HOOK_SECRET": SECRET}
    deployment = Deployment(kafka, "lined.", tmp_path, partitions=2, env=env)
    now = datetime.now(UTC)
    try:
        await deployment.prepare(enrolled(_asking(hooked, now - timedelta(minutes=30))))
        await _beat(deployment, now - timedelta(hours=1))  # a release came through before the line was due
        (first,) = deployment.start("watchdog")
        deployment.start(*ALL, "deliveries")
        settled = [event["data"] for event in await _notices(deployment, 2)]
        assert {one["agency"]: one.get("failure") for one in settled} == {
            "agency-a": None,
            "agency-b": "forbidden-address",  # as any other that a webhook must not reach
        }
        await says(first, "watchdog_round_succeeded", len(entries(first, "watchdog_round_succeeded")) + 2)
        first.signal(signal.SIGTERM)
        (second,) = deployment.start("watchdog")
        await says(second, "watchdog_round_succeeded", 2)
        assert len(await _notices(deployment, 2)) == 2
    finally:
        deployment.stop()
    ((path, letter_id, body),) = hooked.taken  # its signature held
    assert path == "/agency-a"
    assert body["type"] == "herald.notice.v1"
    assert (body["data"]["notice"], body["data"]["notice_id"]) == ("alive", letter_id)
    assert "agency-c" not in {one["agency"] for one in settled}


def _asking(hooked: Hooks, due: datetime) -> Registry:
    """agency-a and agency-b ask for a line at that time of the day, agency-b on a host that is not allowed."""
    whole = json.loads(registry().model_dump_json())
    hook = {"channel": "webhook", "tier": "watch", "secrets": ["env:HOOK_SECRET"], "url": f"{hooked.address}/agency-c"}
    line = {"alive_at": f"{due:%H:%M}"}
    whole["agencies"]["agency-a"]["endpoints"] = {"desk": hook | line | {"url": f"{hooked.address}/agency-a"}}
    whole["agencies"]["agency-b"]["endpoints"] = {"desk": hook | line | {"url": f"http://[::1]:{hooked.port}/"}}
    whole["agencies"]["agency-c"]["endpoints"] = {"desk": hook}
    for name in ("agency-a", "agency-b", "agency-c"):
        whole["agencies"][name]["tiers"] = ["watch"]
    return Registry.model_validate_json(json.dumps(whole | {"allow_networks": ["127.0.0.0/8"]}))


async def _beat(deployment: Deployment, at: datetime) -> None:
    """A heartbeat of an earlier watchdog."""
    beat = HeartbeatBeat(beat_at=at, next_by=at, last_success_at=at)
    event = beat.stamped(cause="earlier", ordinal=0, source="/services/watchdog", time=at)
    producer = deployment.connection.producer()
    await producer.start()
    await producer.send_and_wait(deployment.connection.topic("heartbeat"), encode(event), partition=0)
    await producer.stop()


async def _notices(deployment: Deployment, count: int) -> list[dict[str, Any]]:
    """What came of notices, once there are so many."""
    return await deployment.settled("delivery-outcomes", count, partitions=2, seconds=60)


async def test_the_audit_runs_on_schedule(kafka: str, tmp_path: Path) -> None:
    env = {"HERALD_WATCHDOG__AUDIT_EVERY": "PT1S", "HERALD_LOG_FORMAT": "json"}
    deployment = Deployment(kafka, "audited.", tmp_path, partitions=2, env=env)
    try:
        await deployment.prepare(enrolled(registry()))
        (watchdog,) = deployment.start("watchdog")
        await deployment.ready(watchdog)
        await shows(watchdog, "herald_audit_differences", 0)
        assert measured(watchdog)["herald_audit_last_run_timestamp_seconds"] > 0
        assert not entries(watchdog, "audit_failed")
    finally:
        deployment.stop()


async def shows(process: Process, metric: str, value: float) -> None:
    """Waits until a process serves this value."""
    until = time.monotonic() + 60
    while measured(process).get(metric) != value:
        assert time.monotonic() < until, f"{measured(process)}: {process.log.read_text()[-3000:]}"
        await asyncio.sleep(0.1)
