"""Faults for the alerts that take their time, or that look back for long: what is late, behind, failing, unreadable."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition

from tests.broker.alerting import LATE, MARKS, Scene, registry, shown, standing
from tests.broker.receivers import Hooks
from tests.broker.test_deployment import send, statement

pytestmark = MARKS

SLOW = LATE - {"HeraldAlertLate time"}
FAST = "HeraldAlertsLateFast"
ON_TIME, AT_ONCE = 1500, 20
"""More than a thousand: one late alert of so many is less than what is allowed. None waits for long."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("alerting-slow")
    async with standing(kafka, "slow.", folder, hooked, registry(hooked)) as found:
        yield found


quiet = pytest_asyncio.fixture(autouse=True, loop_scope="module")(shown)


@pytest.mark.shows(*{name.partition(" ")[0] for name in SLOW})
async def test_one_late_alert_until_a_thousand_were_not(scene: Scene) -> None:
    await scene.stop("notifier")
    await scene.announce("agency-c")
    await asyncio.sleep(10)
    await scene.start("notifier")
    await scene.watch.fires(*SLOW)
    await scene.suppresses(FAST, *sorted({name.partition(" ")[0] for name in SLOW} - {FAST}))
    await _tell_on_time(scene)
    await scene.watch.quiet(seconds=240)


async def _tell_on_time(scene: Scene) -> None:
    """Releases for agency-c, a few at once: it is told of them before the next are announced."""
    connection, audience = scene.deployment.connection, {"mode": "listed", "agencies": ["agency-c"]}
    producer, consumer = connection.producer(), connection.consumer(fetch_max_wait_ms=100)
    told = TopicPartition(connection.topic("alerts.agency-c"), 0)
    await producer.start()
    await consumer.start()
    consumer.assign([told])
    await consumer.seek_to_end(told)
    for first in range(0, ON_TIME, AT_ONCE):
        for name in [f"on-time-{number}" for number in range(first, first + AT_ONCE)]:
            await producer.send(connection.topic("releases.lab-a"), statement(name, name, audience=audience))
        missing = AT_ONCE
        while missing > 0:
            missing -= len((await consumer.getmany(timeout_ms=100)).get(told, []))
    await producer.stop()
    await consumer.stop()


@pytest.mark.shows("HeraldLagGrowing")
async def test_a_service_that_takes_in_less_than_is_written(scene: Scene) -> None:
    await scene.stop("announcements")
    await scene.start("announcements", step="begin:1:150")
    writing = asyncio.create_task(_write(scene))
    try:
        await scene.watch.fires("HeraldLag announcements", "HeraldLagGrowing announcements", seconds=150)
        await scene.suppresses("HeraldLag", "HeraldLagGrowing")
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    await scene.watch.quiet()


async def _write(scene: Scene) -> None:
    """What tells nobody anything, on and on."""
    producer = scene.deployment.connection.producer()
    await producer.start()
    try:
        while True:
            await producer.send(scene.deployment.connection.topic("releases.lab-b"), scene.withdrawal())
            await asyncio.sleep(0.05)
    finally:
        await producer.stop()


@pytest.mark.shows("HeraldShardsReopen")
async def test_a_second_process_that_fences_the_first_over_and_over(scene: Scene) -> None:
    connection, process = scene.deployment.connection, scene.of("announcements")
    for count in range(1, 15):
        for shard in range(scene.deployment.partitions):
            other: AIOKafkaProducer = connection.producer(
                transactional_id=f"{scene.deployment.prefix}announcements-{shard}"
            )
            await other.start()
            await other.stop()
        await send(scene.deployment, "releases.lab-b", scene.withdrawal())
        until = time.monotonic() + 30
        while process.log.read_text().count("shard_reopens") < count:
            assert time.monotonic() < until, process.log.read_text()[-3000:]
            await asyncio.sleep(0.05)
        await scene.deployment.ready(process)
    await scene.watch.fires("HeraldShardsReopen announcements")
    await scene.watch.quiet()


@pytest.mark.shows("HeraldPartitionUnreadable")
async def test_a_batch_whose_byte_has_turned_on_the_disk_until_it_is_turned_back(
    scene: Scene, kafka_folder: Path
) -> None:
    await scene.stop("gateway")
    await send(scene.deployment, "releases.lab-b", scene.withdrawal("on-a-bad-disk"))
    log = kafka_folder / "kafka" / "logs" / f"{scene.deployment.prefix}releases.lab-b-0" / f"{0:020}.log"
    with _turned(log, b"on-a-bad-disk"):
        await scene.start("gateway", wait=False)
        behind = ("HeraldLag gateway", "HeraldNotReady gateway")
        await scene.watch.fires("HeraldPartitionUnreadable gateway", *behind)
        await scene.suppresses("HeraldPartitionUnreadable", "HeraldLag", "HeraldNotReady")
    await scene.watch.quiet()


@contextmanager
def _turned(log: Path, text: bytes) -> Iterator[None]:
    """One bit of a record is another in the log, for as long as the context lasts."""
    at = log.read_bytes().rindex(text)
    file = os.open(log, os.O_RDWR)
    try:
        os.pwrite(file, bytes([text[0] ^ 1]), at)
        yield
        os.pwrite(file, text[:1], at)
    finally:
        os.close(file)


@pytest.mark.timeout(1000)
@pytest.mark.shows("HeraldEndpointFailing", "HeraldAgenciesToldApart")
async def test_agencies_that_were_told_apart_within_an_hour_in_which_an_endpoint_is_dead(scene: Scene) -> None:
    await scene.stop("notifier")
    patient = {"HERALD_KAFKA__TRANSACTION_TIMEOUT_MS": "60000"}
    await scene.start("notifier", settings=patient, step="send:3:12")  # one of the two is told, the other is not yet
    await scene.announce("agency-a", "agency-b")
    apart = "HeraldAgenciesToldApart"
    await scene.watch.fires(apart, among={*SLOW, "HeraldLag notifier", "HeraldLag acknowledgements"})
    await scene.watch.quiet(but={apart, *LATE})
    scene.hooked.answer = lambda path: 503 if path == "/spare" else 204
    for _ in range(5):  # so many failures in a row open the breaker
        await scene.announce("agency-a")
    await scene.watch.fires("HeraldEndpointFailing agency-a", among={apart, *LATE}, seconds=400)
    scene.hooked.answer = lambda path: 204
    await scene.herald("deliveries", "resume", "agency-a/spare")
    await scene.watch.quiet(but={apart, *LATE})
    await scene.watch.quiet(but=LATE, seconds=400)
