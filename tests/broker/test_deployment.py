"""A deployment on a real Kafka, in ordinary and in odd circumstances."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from schemas.registry import Agency, Registry
from services.embedded.broker import Broker
from services.kernel import provision as provisioning
from services.kernel.clock import SystemClock
from services.kernel.provision import ProvisionError, provision
from services.kernel.registry_log import RegistryConflict, in_force, publish, versions
from services.kernel.transaction import Transactions
from tests.broker import clocks
from tests.broker.deployment import Deployment
from tests.broker.flow import AGENCIES, registry, release
from tests.scale import LONG, scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")


def statement(reference: str, event_id: str, **changes: Any) -> bytes:
    """An event of lab-a."""
    data = release(reference, **changes)
    event = {"specversion": "1.0", "id": event_id, "type": "herald.release.announced.v1", "data": data}
    return json.dumps(event | {"source": "/labs/lab-a"}).encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    """One deployment for the tests of this file; each uses references of its own."""
    found = Deployment(kafka, "ordinary.", tmp_path_factory.mktemp("ordinary"))
    await found.prepare(registry())
    found.start()
    await found.ready()
    yield found
    found.stop()


async def send(deployment: Deployment, topic: str, *values: bytes | None, **producing: Any) -> None:
    """Writes records at once, in order."""
    producer = deployment.connection.producer(**producing)
    await producer.start()
    try:
        sent = [await producer.send(deployment.connection.topic(topic), value, key=b"k") for value in values]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def receipts(deployment: Deployment, participant: str, event_id: str, count: int = 1) -> list[bytes]:
    """The receipts of one event, once so many are there."""
    for _ in range(600):
        found = [record.value for record in await deployment.read(f"receipts.{participant}")]
        mine = [value for value in found if json.loads(value)["data"].get("event_id") == event_id]
        if len(mine) >= count:
            return mine
        await asyncio.sleep(0.1)
    raise AssertionError(f"no {count} receipts of {event_id}")


async def alerts(deployment: Deployment, agency: str, reference: str, count: int) -> list[dict[str, Any]]:
    """What an agency was told of a release, once so much is there."""
    for _ in range(600):
        told = [event["data"] for event in await deployment.events(f"alerts.{agency}")]
        mine = [alert for alert in told if alert["content"]["reference"] == reference]
        if len(mine) >= count:
            return mine
        await asyncio.sleep(0.1)
    raise AssertionError(f"no {count} alerts of {reference} to {agency}")


async def test_the_same_event_fifty_times_at_once_is_one_announcement_and_one_receipt_over_and_over(
    deployment: Deployment,
) -> None:
    await send(deployment, "releases.lab-a", *[statement("fifty", "same")] * 50)
    found = await receipts(deployment, "lab-a", "same", 50)
    assert len(set(found)) == 1
    await send(deployment, "releases.lab-a", statement("fifty", "last", tlp="TLP:RED"))  # told after all that was said
    for agency in AGENCIES:
        told = await alerts(deployment, agency, "fifty", 2)
        assert [alert["tlp"] for alert in told] == ["TLP:AMBER+STRICT", "TLP:RED"]
    announced = [event["data"]["announcement"]["statement"] for event in await deployment.events("announcements", 6)]
    assert [one["reference"] for one in announced].count("fifty") == 2


async def test_the_same_id_with_other_content_is_refused(deployment: Deployment) -> None:
    await send(deployment, "releases.lab-a", statement("reused", "twice"), statement("reused", "twice", tlp="TLP:RED"))
    kinds = sorted(json.loads(value)["type"] for value in await receipts(deployment, "lab-a", "twice", 2))
    assert kinds == ["herald.receipt.accepted.v1", "herald.receipt.refused.v1"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_compressed_record_on_an_edge_is_read(deployment: Deployment, codec: str) -> None:
    await send(deployment, "releases.lab-a", statement("packed", f"packed-{codec}"), compression_type=codec)
    assert await receipts(deployment, "lab-a", f"packed-{codec}")


async def test_what_is_no_event_gets_a_receipt_and_a_dead_letter_and_the_next_event_is_taken(
    deployment: Deployment,
) -> None:
    poison = [b"not json", b"\xff\xfe", b"[1]", None, b"{" * 5000]
    await send(deployment, "releases.lab-b", *poison)
    await send(deployment, "releases.lab-a", statement("after", "after-poison"))
    assert await receipts(deployment, "lab-a", "after-poison")
    found = await deployment.settled("receipts.lab-b", len(poison))
    assert [e["data"]["coordinates"]["offset"] for e in found] == list(range(len(poison)))
    letters = [r for r in await deployment.read("dead-letters", 6) if (b"releases.lab-b") in dict(r.headers).values()]
    assert [r.value for r in sorted(letters, key=lambda r: int(dict(r.headers)["herald-offset"]))] == poison


async def test_an_internal_record_that_cannot_be_read_is_a_dead_letter_and_its_shard_goes_on(
    deployment: Deployment,
) -> None:
    for _ in range(6):
        await send(deployment, "releases", b"damaged")
    await send(deployment, "releases.lab-a", *[statement(f"healthy-{n}", f"healthy-{n}") for n in range(12)])
    for n in range(12):
        assert await receipts(deployment, "lab-a", f"healthy-{n}")
    letters = [r for r in await deployment.read("dead-letters", 6) if r.value == b"damaged"]
    headers = dict(letters[0].headers)
    assert len(letters) == 6
    assert headers["herald-service"] == b"announcements"
    assert headers["herald-reason"] == b"undecodable"
    assert b"Traceback" in headers["herald-trace"]


async def test_a_lab_that_is_added_is_heard_within_ten_seconds_while_others_go_on(deployment: Deployment) -> None:
    before = await in_force(deployment.connection)
    labs = json.loads(before.model_dump_json())["labs"] | {"lab-new": {"name": "New"}}
    raw = json.loads(before.model_dump_json()) | {"labs": labs, "version": before.version + 1}
    after = Registry.model_validate_json(json.dumps(raw))
    await provision(deployment.connection, 6, after)
    await publish(deployment.connection, after, SystemClock().now())
    value = statement("new", "new-lab").replace(b"/labs/lab-a", b"/labs/lab-new")
    await send(deployment, "releases.lab-new", value)
    for n in range(20):
        await send(deployment, "releases.lab-a", statement("meanwhile", f"meanwhile-{n}", handling=str(n)))
    assert len(await receipts(deployment, "lab-new", "new-lab")) == 1
    for n in range(20):
        assert len(await receipts(deployment, "lab-a", f"meanwhile-{n}")) == 1


async def test_before_anything_is_applied_the_registry_in_force_is_an_empty_one(kafka: str, tmp_path: Path) -> None:
    assert await in_force(Deployment(kafka, "unapplied.", tmp_path).connection) == Registry()


async def test_what_was_applied_is_seen_by_whoever_reads_next_also_on_a_broker_that_never_committed_before(
    tmp_path: Path,
) -> None:
    broker = Broker(tmp_path)  # one of its own: the markers of its first commit come 40 ms after the answer to it
    try:
        fresh = Deployment(broker.start(print, owned=True).bootstrap_servers, "fresh.", tmp_path)
        await provision(fresh.connection, 1, registry())
        source = TopicPartition(fresh.connection.topic("registry-versions"), 0)
        async with fresh.connection.consumer() as reader:
            assert (await reader.end_offsets([source]))[source] == 0  # connected: that would take longer than 40 ms
            await publish(fresh.connection, registry(), SystemClock().now())
            assert (await reader.end_offsets([source]))[source] == 2  # the version, and its marker
    finally:
        broker.stop()


async def test_two_registries_at_once_cannot_both_become_the_next_version(deployment: Deployment) -> None:
    before = await in_force(deployment.connection)
    following = before.model_copy(update={"version": before.version + 1})
    outcomes = await asyncio.gather(
        *(publish(deployment.connection, following, SystemClock().now()) for _ in range(3)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) <= 1
    assert all(outcome is None or isinstance(outcome, RegistryConflict) for outcome in outcomes)
    numbers = [one.version for one in await versions(deployment.connection)]
    assert numbers == sorted(set(numbers))


async def test_another_number_of_partitions_is_refused_in_one_line(deployment: Deployment, tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match="has 6 partitions"):
        await provision(deployment.connection, 12, registry())
    other = Deployment(deployment.bootstrap_servers, "ordinary.", tmp_path, partitions=12)
    (process,) = other.start("windows")
    assert await asyncio.to_thread(process.popen.wait, 30) == 2
    assert "HERALD_PARTITIONS is 12" in process.log.read_text().splitlines()[-1]


async def test_more_topics_than_kafka_makes_at_once_are_made(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not LONG:
        monkeypatch.setattr(provisioning, "AT_ONCE", 20)
    many = Registry(agencies={f"agency-{n}": Agency(name="Agency") for n in range(scaled(40, 1200))})
    deployment = Deployment(kafka, "many.", tmp_path, partitions=1)
    made = await provision(deployment.connection, 1, many)
    assert {f"alerts.{agency}" for agency in many.agencies} <= set(made)
    admin = deployment.connection.admin()
    await admin.start()
    try:
        assert set(map(deployment.connection.topic, made)) <= set(await admin.list_topics())
    finally:
        await admin.close()


async def test_many_new_topics_are_learnt_in_one_request(kafka: str, tmp_path: Path) -> None:
    found = Deployment(kafka, "learnt.", tmp_path, partitions=1).connection
    many = Registry(agencies={f"agency-{n}": Agency(name="Agency") for n in range(20)})
    await provision(found, 1, many)
    transactions = Transactions(found, "one")
    await transactions.start()
    try:
        client, asked = transactions._producer.client, []
        update = client._metadata_update

        async def counted(*given: Any) -> Any:
            asked.append(given)
            return await update(*given)

        client._metadata_update = counted
        await transactions._know_topics({found.topic(f"alerts.{agency}") for agency in many.agencies})
    finally:
        await transactions.stop()
    assert 1 <= len(asked) <= 2  # one may have been under way


async def test_every_transition_missed_while_down_happens_once_in_due_order_with_both_times(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "downtime.", tmp_path, partitions=2, env=clocks.now())
    try:
        await deployment.prepare(registry())
        processes = deployment.start()
        await deployment.ready()
        dates = {"one": "2027-03-20T00:00:00Z", "two": "2027-03-18T00:00:00Z"}
        for reference, date in dates.items():
            value = statement(reference, reference, trusted_partner_release_at=date, early_access={"opens": "P7D"})
            await send(deployment, "releases.lab-a", value)
        await deployment.settled("windows", 2, 2)
        next(p for p in processes if p.name == "windows").kill()
        back = datetime(2027, 3, 21, tzinfo=UTC)
        deployment.env |= clocks.now(begins=back)
        deployment.start("windows")
        found = [e["data"] for e in await deployment.settled("windows", 8, 2)]
    finally:
        deployment.stop()
    for reference in dates:
        mine = [d for d in found if d["window"]["statement"]["reference"] == reference and d.get("due_at")]
        dues = [d["due_at"] for d in mine]
        assert len(mine) == 3
        assert dues == sorted(dues)
        assert all(datetime.fromisoformat(d["happened_at"]) >= back for d in mine)
        assert [d["window"]["status"] for d in mine] == ["open", "open", "closed"]
