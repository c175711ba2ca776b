"""What services show on /metrics, on a real Kafka: checked by promtool, true to what happened, and after a restart."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from schemas.registry import Registry
from schemas.topics import SERVICES
from services.kernel.catalogue import SHOWN
from tests.broker import flow
from tests.broker.deployment import Deployment, Process
from tests.broker.doorway import TLS
from tests.broker.receivers import SECRET, Hooks
from tests.broker.test_deployment import send, statement
from tests.broker.watching import named, needs_prometheus, watching
from tests.repo.grafana import filled, targets
from tests.repo.prometheus import needs_promtool, promtool

pytestmark = pytest.mark.asyncio(loop_scope="module")

Labels = frozenset[tuple[str, str]]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def registry(hooked: Hooks) -> Registry:
    """Three agencies that take drills; agency-a takes a webhook, agency-b's is dead."""
    whole = json.loads(flow.registry().model_dump_json())
    hook = {"channel": "webhook", "tier": "watch", "secrets": ["env:HOOK_SECRET"]}
    for name in flow.AGENCIES:
        whole["agencies"][name] |= {"exercises": True, "tiers": ["watch"]}
    whole["agencies"]["agency-a"]["endpoints"] = {"desk": hook | {"url": f"{hooked.address}/a"}}
    whole["agencies"]["agency-b"]["endpoints"] = {"desk": hook | {"url": f"{hooked.address}/broken"}}
    return Registry.model_validate_json(json.dumps(whole | {"allow_networks": ["127.0.0.0/8"]}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks) -> AsyncIterator[Deployment]:
    """Every process, after a release and a drill that one agency has answered."""
    folder = tmp_path_factory.mktemp("metrics")
    env = {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder)}
    hooked.answer = lambda path: 503 if path == "/broken" else 204
    found = Deployment(kafka, "metrics.", folder, partitions=2, env=env)
    await found.prepare(registry(hooked))
    found.start(*SERVICES, "gateway.door")
    await found.ready()
    await send(found, "releases.lab-a", statement("real", "real"), statement("drill", "drill", exercise=True))
    alert = next(one for one in await found.settled("alerts.agency-a", 2) if not one["data"]["exercise"])
    answer = {name: alert["data"][name] for name in ("alert_id", "release_id")} | {"disposition": "received"}
    event = {"specversion": "1.0", "id": "answer", "source": "/agencies/agency-a", "data": answer}
    said = json.dumps(event | {"type": "herald.acknowledgement.submitted.v1"})
    await send(found, "acks.agency-a", said.encode())
    await found.settled("acknowledgements", 1, 2)
    await asyncio.to_thread(sums, found.processes)  # what came before the first look is shown after it
    yield found
    found.stop()


def read(process: Process, accept: str = "text/plain") -> str:
    """What a process shows."""
    return httpx.get(f"http://127.0.0.1:{process.port}/metrics", headers={"Accept": accept}, verify=TLS).text


def sums(processes: list[Process]) -> dict[str, dict[Labels, float]]:
    """Every sample of some processes, added up, without the label of the shard."""
    found: dict[str, dict[Labels, float]] = {}
    for process in processes:
        for family in text_string_to_metric_families(read(process)):
            for sample in family.samples:
                labels = frozenset((k, v) for k, v in sample.labels.items() if k != "shard")
                values = found.setdefault(sample.name, {})
                values[labels] = values.get(labels, 0) + sample.value
    return found


def labels(**named: str) -> Labels:
    return frozenset(named.items())


def of(deployment: Deployment, *names: str) -> list[Process]:
    """The live processes of some services; of none, all."""
    return [p for p in deployment.processes if p.popen.poll() is None and (p.name in names or not names)]


async def comes_to(deployment: Deployment, service: str, name: str, expected: dict[Labels, float]) -> None:
    """Waits until a service shows this; what it shows is true a moment after it is so."""
    for _ in range(200):
        found = (await asyncio.to_thread(sums, of(deployment, service))).get(name, {})
        found = {key: value for key, value in found.items() if value}
        if found == expected:
            return
        await asyncio.sleep(0.1)
    assert found == expected


@needs_promtool
async def test_promtool_finds_nothing_to_say_of_any_process(deployment: Deployment) -> None:
    for process in of(deployment):
        text = await asyncio.to_thread(read, process)
        checked = await asyncio.to_thread(promtool, "check", "metrics", said=text)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, ""), process.name


async def test_every_process_shows_what_the_catalogue_says_and_nothing_else(deployment: Deployment) -> None:
    for process in of(deployment):
        text = await asyncio.to_thread(read, process)
        shown = {family.name for family in text_string_to_metric_families(text) if family.name.startswith("herald_")}
        name = process.name.rpartition(".")[2]
        declared = {family.name for metric in SHOWN[name] for family in metric.describe()}
        assert {one.removesuffix("_info") for one in shown} == declared


async def test_labels_hold_no_name_no_reference_and_no_release(deployment: Deployment, hooked: Hooks) -> None:
    alerts = await deployment.events("alerts", 2)
    hidden = {"Model", "real", "drill", hooked.address, str(hooked.port), *(one["subject"] for one in alerts)}
    for process in of(deployment):
        for family in text_string_to_metric_families(await asyncio.to_thread(read, process)):
            for sample in family.samples:
                assert not hidden & set(sample.labels.values()), sample


async def test_drills_are_counted_apart(deployment: Deployment) -> None:
    both = {labels(status="scheduled", exercise="false"): 1.0, labels(status="scheduled", exercise="true"): 1.0}
    await comes_to(deployment, "windows", "herald_windows", both)
    told = {labels(kind="scheduled", exercise=drill): 3.0 for drill in ("true", "false")}
    await comes_to(deployment, "notifier", "herald_alerts_total", told)
    latencies = {labels(cause="statement", exercise=drill): 3.0 for drill in ("true", "false")}
    await comes_to(deployment, "notifier", "herald_alert_latency_seconds_count", latencies)
    spread = {labels(exercise=drill): 1.0 for drill in ("true", "false")}
    await comes_to(deployment, "notifier", "herald_alert_skew_seconds_count", spread)
    answered = {labels(disposition="received", late="false", exercise="false"): 1.0}
    await comes_to(deployment, "acknowledgements", "herald_acknowledgements_total", answered)
    waiting = {labels(agency=f"agency-{x}", step="asked", exercise=d): 1.0 for x in "abc" for d in ("true", "false")}
    del waiting[labels(agency="agency-a", step="asked", exercise="false")]
    await comes_to(deployment, "acknowledgements", "herald_answers_awaited", waiting)
    taken = {labels(channel="webhook", outcome="taken", exercise=drill): 1.0 for drill in ("true", "false")}
    await comes_to(deployment, "deliveries", "herald_deliveries_total", taken)


async def test_an_alerts_latency_is_that_of_the_whole_way_from_the_labs_topic(deployment: Deployment) -> None:
    (statement,) = [one for one in await deployment.read("releases.lab-a") if b'"real"' in one.value]
    alerts = [one for one in await deployment.read("alerts", 2) if b'"exercise":false' in one.value]
    took = [(one.timestamp - statement.timestamp) / 1000 for one in alerts]
    shown = (await asyncio.to_thread(sums, of(deployment, "notifier")))["herald_alert_latency_seconds_sum"]
    found = shown[labels(cause="statement", exercise="false")]
    assert sum(took) <= found + 0.001  # the log takes it before it is committed
    assert found < sum(took) + 3 * 5


@needs_prometheus
async def test_prometheus_scrapes_every_process_and_says_only_what_is_wrong_for_as_long_as_it_is(
    deployment: Deployment, tmp_path: Path
) -> None:
    with watching(tmp_path, factor=6) as watch:
        watch.show(named(of(deployment)))
        await watch.all_up(len(SERVICES) + 1)
        rules = await watch.rules()
        assert {rule["health"] for rule in rules} == {"ok"}, [
            rule["lastError"] for rule in rules if "lastError" in rule
        ]
        await watch.quiet()
        await send(deployment, "releases.lab-b", b"no event")
        await watch.fires("HeraldEdgeDeadLetters gateway")
        event = {"specversion": "1.0", "id": "heals", "source": "/labs/lab-b", "data": {"reference": "never-announced"}}
        said = json.dumps(event | {"type": "herald.release.withdrawn.v1"})
        await send(deployment, "releases.lab-b", said.encode())  # refused, but readable
        await watch.quiet()


STANDING = (
    ("windows", "herald_windows"),
    ("windows", "herald_keys"),
    ("windows", "herald_timers"),
    ("deliveries", "herald_deliveries_pending"),
    ("deliveries", "herald_endpoints"),
)


async def test_gauges_are_right_after_a_crash_a_restart_and_a_rebalance(deployment: Deployment) -> None:
    names = ("windows", "deliveries")
    pending = {labels(agency="agency-b", waits="due", exercise=drill): 1.0 for drill in ("true", "false")}
    await comes_to(deployment, "deliveries", "herald_deliveries_pending", pending)
    before = {(s, name): (await asyncio.to_thread(sums, of(deployment, s)))[name] for s, name in STANDING}
    for process in of(deployment, *names):
        process.signal(signal.SIGKILL)
        process.popen.wait(30)
    first, second = deployment.start(*names), deployment.start(*names)  # two of each share the shards
    await deployment.ready(*first, *second)
    for (service, name), expected in before.items():
        await comes_to(deployment, service, name, {k: v for k, v in expected.items() if v})
    await comes_to(deployment, "windows", "herald_shard_open", {labels(): 2.0})
    for process in second:
        process.signal(signal.SIGTERM)
        await asyncio.to_thread(process.popen.wait, 30)
    for (service, name), expected in before.items():
        await comes_to(deployment, service, name, {k: v for k, v in expected.items() if v})


async def test_what_is_measured_leads_to_its_trace_where_there_is_one(deployment: Deployment) -> None:
    said: dict[str, Any] = json.loads(statement("traced", "traced"))
    said["traceparent"] = f"00-{TRACE}-00f067aa0ba902b7-01"
    await send(deployment, "releases.lab-a", json.dumps(said).encode())
    await deployment.settled("alerts.agency-a", 3)
    (process,) = of(deployment, "announcements")
    text = await asyncio.to_thread(read, process, "application/openmetrics-text; version=1.0.0")
    assert f'# {{trace_id="{TRACE}"}}' in text
    assert TRACE not in await asyncio.to_thread(read, process)


@needs_prometheus
async def test_a_dashboards_duration_shows_the_trace_of_what_took_so_long(
    deployment: Deployment, tmp_path: Path
) -> None:
    found = {where: target["expr"] for where, target in targets() if target["exemplar"]}
    expr = filled(found["releases: Time in each hop A"], {"__rate_interval": "5s"})
    seen: set[str] = set()
    with watching(tmp_path, factor=12) as watch:
        watch.show(named(of(deployment)))
        until = time.monotonic() + 60
        while TRACE not in seen:
            assert time.monotonic() < until, seen
            now = time.time()
            answer = await watch.ask("query_exemplars", query=expr, start=str(now - 3600), end=str(now))
            seen = {one["labels"]["trace_id"] for series in answer for one in series["exemplars"]}
            await asyncio.sleep(0.2)
