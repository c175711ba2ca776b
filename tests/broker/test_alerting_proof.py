"""Faults for the alerts of the watchdog and of the audit, on a real Herald: what tells quiet from broken."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from schemas.watchdog import enrolled
from tests.broker.alerting import MARKS, Scene, registry, shown, standing
from tests.broker.receivers import Hooks

pytestmark = MARKS


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("alerting-proof")
    often = {"HERALD_WATCHDOG__EVERY": "PT20S", "HERALD_WATCHDOG__AUDIT_EVERY": "PT10S"}
    async with standing(kafka, "proof.", folder, hooked, enrolled(registry(hooked)), "watchdog", **often) as found:
        yield found


quiet = pytest_asyncio.fixture(autouse=True, loop_scope="module")(shown)


@pytest.mark.shows("HeraldHeartbeatMissing")
async def test_no_watchdog(scene: Scene) -> None:
    await scene.stop("watchdog")
    await scene.watch.fires("HeraldHeartbeatMissing", "HeraldWatchdogFailing")
    await scene.suppresses("HeraldHeartbeatMissing", "HeraldWatchdogFailing")
    await scene.start("watchdog")
    await scene.watch.quiet()


@pytest.mark.shows("HeraldWatchdogFailing")
async def test_a_release_that_does_not_come_through(scene: Scene) -> None:
    await scene.stop("notifier")
    await scene.watch.fires("HeraldWatchdogFailing")
    await scene.start("notifier")
    await scene.watch.quiet()


@pytest.mark.shows("HeraldWatchdogSlow")
async def test_a_release_that_takes_long(scene: Scene) -> None:
    await scene.stop("notifier")
    await scene.start("notifier", step="commit:every:2.5")
    await scene.watch.fires("HeraldWatchdogSlow")
    await scene.stop("notifier")
    await scene.start("notifier")
    await scene.watch.quiet()


@pytest.mark.shows("HeraldAuditDifferences")
async def test_an_alert_that_nobody_should_have_until_it_is_cut_away(scene: Scene) -> None:
    connection, topic = scene.deployment.connection, scene.deployment.connection.topic("alerts.agency-c")
    await scene.announce("agency-b")
    await scene.deployment.settled("alerts.agency-b", 1)
    (record,) = await scene.deployment.read("alerts.agency-b")
    producer = connection.producer()
    await producer.start()
    sent = await producer.send_and_wait(topic, record.value, key=record.key, partition=0)
    await producer.stop()
    await scene.watch.fires("HeraldAuditDifferences")  # once it is a minute old
    admin = connection.admin()
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=sent.offset + 1)})
    await admin.close()
    await scene.watch.quiet()


@pytest.mark.shows("HeraldAuditNotRun")
async def test_an_audit_that_is_not_run(scene: Scene) -> None:
    await scene.stop("watchdog")
    await scene.start("watchdog", settings={"HERALD_WATCHDOG__AUDIT_EVERY": "PT10H"})
    await scene.watch.fires("HeraldAuditNotRun", seconds=200)
    await scene.stop("watchdog")
    await scene.start("watchdog")
    await scene.watch.quiet()
