"""The watchdog on a real Kafka: rounds, a hop that is missing and comes back, a second watchdog, a kill -9."""

import asyncio
import json
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from schemas.watchdog import AGENCY, LAB, enrolled
from tests.broker.deployment import ALL, Deployment, Process
from tests.broker.flow import registry

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
        done = len(entries(first, "watchdog_round_succeeded"))
        first.kill()
        await says(second, "watchdog_on_duty")
        failed = len(entries(second, "watchdog_round_failed"))
        await says(second, "watchdog_round_succeeded", 2)
        assert len(entries(second, "watchdog_round_failed")) == failed
    finally:
        deployment.stop()
    beats = [event["data"] for event in await deployment.events("heartbeat")]
    assert beats[-1]["last_success_at"] > beats[1]["last_success_at"]
    alerts = [event["data"] for event in await deployment.events(f"alerts.{AGENCY}")]
    assert {alert["content"]["lab"] for alert in alerts} == {LAB}
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts)
    assert await deployment.events("alerts.agency-a") == []


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
