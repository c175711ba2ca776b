"""What goes wrong around a shard, one thing a test, on a real Kafka."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.registry import Registry
from services.embedded import broker as embedded
from services.embedded.broker import Broker
from services.kernel.clock import SystemClock
from services.kernel.provision import provision
from services.kernel.registry_log import publish
from tests.broker import clocks
from tests.broker.clocks import DAY_A_SECOND
from tests.broker.deployment import Deployment, Process
from tests.broker.doorway import TLS
from tests.broker.flow import AGENCIES, flowing, registry
from tests.broker.test_deployment import receipts, send, statement
from tests.broker.test_refusals import problem
from tests.scale import long_run

pytestmark = pytest.mark.timeout(180)
OPENS_ON_13_MARCH = {"trusted_partner_release_at": "2027-03-20T00:00:00Z", "early_access": {"opens": "P7D"}}
FORGETFUL = """\
transactional.id.expiration.ms=2000
transaction.remove.expired.transaction.cleanup.interval.ms=500
producer.id.expiration.ms=2000
producer.id.expiration.check.interval.ms=500
"""


def headers(record: Any) -> dict[str, bytes]:
    """The headers of a dead letter."""
    return dict(record.headers)


async def stated(deployment: Deployment) -> list[str]:
    """The references in `announcements`, sorted."""
    events = await deployment.events("announcements", deployment.partitions)
    return sorted(event["data"]["announcement"]["statement"]["reference"] for event in events)


async def test_what_the_broker_refuses_as_too_large_is_a_dead_letter_and_the_rest_of_its_transaction_is_written(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "large.", tmp_path, partitions=1)
    try:
        await deployment.prepare(registry())
        admin = deployment.connection.admin()
        await admin.start()
        topic, limit = deployment.connection.topic("announcements"), {"max.message.bytes": "3000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=limit)])
        await admin.close()
        values = [statement(f"m-{n}", f"e-{n}", handling="x" * (3900 if n == 3 else 100)) for n in range(6)]
        await send(deployment, "releases.lab-a", *values)
        deployment.start("gateway", "announcements")
        for n in (0, 1, 2, 4, 5):
            await receipts(deployment, "lab-a", f"e-{n}")
        assert await stated(deployment) == [f"m-{n}" for n in (0, 1, 2, 4, 5)]
        (letter,) = await deployment.read("dead-letters")
        assert headers(letter)["herald-reason"] == b"output_too_large"
        assert json.loads(letter.value)["data"]["reference"] == "m-3"
    finally:
        deployment.stop()


async def test_a_missing_output_topic_is_shown_and_waited_for(kafka: str, tmp_path: Path) -> None:
    deployment = Deployment(kafka, "missing.", tmp_path, partitions=1)
    try:
        await deployment.prepare(registry())
        admin = deployment.connection.admin()
        await admin.start()
        await admin.delete_topics([deployment.connection.topic("alerts.agency-b")])
        await admin.close()
        *_, notifier = deployment.start("gateway", "announcements", "windows", "notifier")
        await send(deployment, "releases.lab-a", *[statement(f"m-{n}", f"e-{n}") for n in range(5)])
        assert "alerts.agency-b is missing" in await problem(notifier, "is missing")
        await provision(deployment.connection, 1, registry())
        for agency in AGENCIES:
            found = await deployment.settled(f"alerts.{agency}", 5)
            assert [event["data"]["content"]["reference"] for event in found] == [f"m-{n}" for n in range(5)]
        assert len(await deployment.events("alerts")) == 15
    finally:
        deployment.stop()


async def test_a_record_that_cannot_be_decided_is_a_dead_letter_and_the_next_statement_heals_its_key(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "raises.", tmp_path, partitions=1)
    try:
        await deployment.prepare(registry())
        deployment.start("gateway", "announcements")
        (windows,) = deployment.start("windows", poison="record:poison")
        values = [statement(f"m-{n % 3}", f"e-{n}", handling="poison" if n == 4 else f"h-{n}") for n in range(9)]
        await send(deployment, "releases.lab-a", *values)
        found = await deployment.settled("windows", 8)
        said = [event["data"]["window"]["statement"]["handling"] for event in found]
        assert said == [f"h-{n}" for n in range(9) if n != 4]
        (letter,) = await deployment.read("dead-letters")
        assert headers(letter)["herald-reason"] == b"undecidable"
        assert b"cannot decide this" in headers(letter)["herald-detail"]
        assert "shard_reopens" not in windows.log.read_text()
    finally:
        deployment.stop()


def moves(events: list[dict[str, Any]], reference: str) -> list[str]:
    """What befell the window of one release."""
    mine = [e for e in events if e["data"]["window"]["statement"]["reference"] == reference]
    return [event["type"].split(".")[2] for event in mine]


async def test_a_timer_that_cannot_be_decided_is_a_dead_letter_once_and_other_timers_fire(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "timer.", tmp_path, partitions=1, env=clocks.now())
    try:
        await deployment.prepare(registry())
        deployment.start("gateway", "announcements")
        for reference in ("poison", "sound"):
            await send(deployment, "releases.lab-a", statement(reference, reference, **OPENS_ON_13_MARCH))
            await receipts(deployment, "lab-a", reference)
        deployment.env |= clocks.now(rate=20 * DAY_A_SECOND)
        (windows,) = deployment.start("windows", poison="timer:poison")
        found = await deployment.settled("windows", 5)
        windows.kill()
        deployment.start("windows", poison="timer:poison")  # what was left out stays so through a restart
        await deployment.ready(deployment.processes[-1])
        assert moves(found, "sound") == ["scheduled", "opened", "closing-soon", "closed"]
        assert moves(found, "poison") == ["scheduled"]
        (letter,) = await deployment.read("dead-letters")
        assert headers(letter)["herald-reason"] == b"timer"
        assert json.loads(letter.value)["timer"] == "opens"
    finally:
        deployment.stop()


async def test_a_withdrawal_that_waits_in_the_queue_comes_before_the_opening_that_fell_due_later(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "queued.", tmp_path, partitions=1, env=clocks.now())
    try:
        await deployment.prepare(registry())
        _, _, windows = deployment.start("gateway", "announcements", "windows")
        for n in range(20):
            await send(deployment, "releases.lab-a", statement(f"m-{n}", f"e-{n}", **OPENS_ON_13_MARCH))
        await deployment.settled("windows", 20)
        windows.kill()
        for n in range(20):
            data = {"reference": f"m-{n}"}
            event = {"specversion": "1.0", "id": f"w-{n}", "type": "herald.release.withdrawn.v1", "data": data}
            await send(deployment, "releases.lab-a", json.dumps(event | {"source": "/labs/lab-a"}).encode())
        await receipts(deployment, "lab-a", "w-19")
        deployment.env |= clocks.now(rate=20 * DAY_A_SECOND)  # the opening has passed before the service has started
        deployment.start("windows")
        found = await deployment.settled("windows", 40)
        for n in range(20):
            assert moves(found, f"m-{n}") == ["scheduled", "withdrawn"]
    finally:
        deployment.stop()


async def unreadable(process: Process) -> float:
    """How many partitions it says that it cannot read."""
    async with httpx.AsyncClient(verify=TLS) as client:
        text = (await client.get(f"http://127.0.0.1:{process.port}/metrics")).text
    return float(re.search(r"^herald_partitions_unreadable (\S+)", text, re.MULTILINE)[1])  # type: ignore[index]


async def unreadable_until_it_was_tried(process: Process, times: int) -> set[float]:
    """All that it says until it has tried again so often."""
    said, tried = set(), process.log.read_text().count("partition_unreadable") + times
    while process.log.read_text().count("partition_unreadable") < tried:
        said.add(await unreadable(process))
        await asyncio.sleep(0.05)
    return said


async def test_a_partition_that_cannot_be_read_waits_and_shows_and_the_others_go_on(
    own_broker: Broker, tmp_path: Path
) -> None:
    running = own_broker.status()
    assert running is not None
    deployment = Deployment(running.bootstrap_servers, "unread.", tmp_path, partitions=3)
    try:
        await deployment.prepare(registry())
        _, announcements = deployment.start("gateway", "announcements")
        await deployment.ready()
        announcements.signal(signal.SIGSTOP)  # so that what it fetches next holds every partition
        await send(deployment, "releases.lab-a", *[statement(f"m-{n}", f"e-{n}") for n in range(30)])
        written = await deployment.settled("releases", 30, 3)
        log = own_broker.folder / "logs" / "unread.releases-1" / "00000000000000000000.log"
        whole = log.read_bytes()
        at = whole.rindex(b'"reference"') + 3
        with log.open("r+b") as file:  # one letter of what the broker will hand out
            file.seek(at)
            file.write(b"#")
        announcements.signal(signal.SIGCONT)
        assert "Corrupt" in await problem(announcements, "Corrupt")
        readable = [r for p in (0, 2) for r in await deployment.read("releases", only=p)]
        found = await deployment.settled("announcements", len(readable), 3)
        assert 0 < len(readable) <= len(found) < len(written)
        await announcements.says("partition_unreadable")
        assert await unreadable_until_it_was_tried(announcements, 2) == {1.0}  # an alert waits for what stays
        with log.open("r+b") as file:
            file.seek(at)
            file.write(whole[at : at + 1])
        assert len(await deployment.settled("announcements", 30, 3)) == 30
        await deployment.ready(announcements)
        assert await unreadable(announcements) == 0
    finally:
        deployment.stop()


@long_run
async def test_a_crash_in_the_midst_of_re_routing_tells_each_agency_of_each_release_once(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "reroute.", tmp_path, partitions=1)
    try:
        await deployment.prepare(registry())
        *_, notifier = deployment.start("gateway", "announcements", "windows", "notifier")
        await send(deployment, "releases.lab-a", *[statement(f"m-{n}", f"e-{n}") for n in range(12)])
        for agency in AGENCIES:
            await deployment.settled(f"alerts.{agency}", 12)
        notifier.kill()
        raw = json.loads(registry().model_dump_json())
        raw["agencies"]["agency-d"] = {"name": "D"}
        del raw["agencies"]["agency-a"]
        after = Registry.model_validate_json(
            json.dumps(raw | {"version": 2, "offboarded": {"agency-a": "2027-03-01T00:00:00Z"}})
        )
        await provision(deployment.connection, 1, after)
        await publish(deployment.connection, after, SystemClock().now())
        for times in (2, 2, 1):
            (dies,) = deployment.start("notifier", step=f"commit:{times}:kill", max_outputs="4")
            await asyncio.to_thread(dies.popen.wait, 60)
        began = len(await deployment.events("alerts.agency-d"))
        deployment.start("notifier")
        new = await deployment.settled("alerts.agency-d", 12)
        dropped = (await deployment.settled("alerts.agency-a", 24))[12:]
        assert 0 < began < 12  # the crash was in the midst
        assert sorted(e["data"]["content"]["reference"] for e in new) == sorted(f"m-{n}" for n in range(12))
        assert [e["data"]["kind"] for e in dropped] == ["no-longer-addressed"] * 12
        assert len({e["data"]["release_id"] for e in dropped}) == 12
        assert len(await deployment.events("alerts.agency-b")) == 12
    finally:
        deployment.stop()


@long_run
async def test_builds_of_which_the_second_has_one_more_input_replace_each_other_one_by_one(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "rolling.", tmp_path, partitions=4)
    async with flowing(deployment) as flow:
        deployment.start("gateway", "announcements", "windows", "acknowledgements")
        old = [*deployment.start("notifier", without="reminders"), *deployment.start("notifier", without="reminders")]
        await deployment.ready()
        for before in old:
            (after,) = deployment.start("notifier")
            await flow.goes_on(20)
            before.popen.terminate()
            await deployment.ready(after)
            await flow.goes_on(20)


@long_run
async def test_a_producer_id_that_the_broker_has_forgotten_costs_a_reopening_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_PROPERTIES", embedded._PROPERTIES + FORGETFUL)  # seven days in two seconds
    broker = Broker(tmp_path)
    running = broker.start(print, owned=True)
    deployment = Deployment(running.bootstrap_servers, "idle.", tmp_path, partitions=1)
    try:
        await deployment.prepare(registry())
        processes = deployment.start("gateway", "announcements")
        for n in range(3):
            await send(deployment, "releases.lab-a", statement(f"m-{n}", f"e-{n}"))
            await receipts(deployment, "lab-a", f"e-{n}")
            await asyncio.sleep(5)
        assert await stated(deployment) == ["m-0", "m-1", "m-2"]
        assert len(await deployment.events("receipts.lab-a")) == 3
        assert all("shard_reopens" in process.log.read_text() for process in processes)
    finally:
        deployment.stop()
        broker.stop()
