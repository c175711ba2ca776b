"""A fault for each alert, on a real Herald beside Debian's Prometheus: it fires, and only what belongs to it.

Recovery ends it. What takes longer is in test_alerting_slow.py, what the watchdog and the audit measure in
test_alerting_proof.py.
"""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.topics import SERVICES
from services.embedded.lifeline import tied
from services.kernel.credential_log import issue, issued, revoke
from services.kernel.registry_log import publish
from tests.broker.alerting import LATE, MARKS, Scene, registry, shown, standing
from tests.broker.certificates import self_signed
from tests.broker.deployment import Deployment
from tests.broker.receivers import Hooks
from tests.broker.test_deployment import send
from tests.broker.watching import named, watching

pytestmark = MARKS


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("alerting")
    async with standing(kafka, "alerting.", folder, hooked, registry(hooked)) as found:
        yield found


quiet = pytest_asyncio.fixture(autouse=True, loop_scope="module")(shown)


@pytest.mark.shows("HeraldServiceDown")
async def test_a_process_that_is_frozen(scene: Scene) -> None:
    process = scene.of("announcements")
    process.signal(signal.SIGSTOP)
    await scene.watch.fires("HeraldServiceDown announcements")
    for _ in range(100):
        if "HeraldServiceDown" in (managed := await scene.watch.managed()):
            break
        await asyncio.sleep(0.2)
    assert managed["HeraldServiceDown"] == ("page", "active")
    process.signal(signal.SIGCONT)
    await scene.watch.quiet()


@pytest.mark.shows("HeraldNotScraped")
async def test_no_targets(scene: Scene) -> None:
    scene.watch.show({})
    await scene.watch.fires("HeraldNotScraped")
    scene.watch.show(named(scene.deployment.processes))
    await scene.watch.quiet()


@pytest.mark.shows("HeraldEdgeDeadLetters")
async def test_what_a_lab_sends_is_no_event_until_it_sends_one(scene: Scene) -> None:
    await send(scene.deployment, "releases.lab-b", b"no event")
    await scene.watch.fires("HeraldEdgeDeadLetters gateway")
    event = {"specversion": "1.0", "id": "heals", "source": "/labs/lab-b", "data": {"reference": "never-announced"}}
    await send(scene.deployment, "releases.lab-b", json.dumps(event | {"type": "herald.release.withdrawn.v1"}).encode())
    await scene.watch.quiet()


@pytest.mark.shows("HeraldShardWithoutOwner", "HeraldNotReady")
async def test_a_shard_that_does_not_open(scene: Scene) -> None:
    await scene.stop("acknowledgements")
    await scene.start("acknowledgements", wait=False, step="fence:1:45")
    shard = "HeraldShardWithoutOwner acknowledgements"
    await scene.watch.fires(shard, "HeraldNotReady acknowledgements")
    await scene.watch.quiet()


@pytest.mark.shows("HeraldDeadLetters")
async def test_a_record_that_cannot_be_decided_until_it_is_given_back(scene: Scene) -> None:
    await scene.stop("windows")
    await scene.start("windows", poison="record:indigestible")
    await scene.announce("agency-c", handling="indigestible")
    await scene.watch.fires("HeraldDeadLetters windows")
    await scene.stop("windows")
    await scene.start("windows")
    await scene.herald("dead-letters", "replay", "--all")
    await scene.watch.quiet(but=LATE)


@pytest.mark.shows("HeraldRegistryVersionsApart")
async def test_a_process_that_follows_an_old_version_of_the_registry(scene: Scene, tmp_path: Path) -> None:
    other = Deployment(scene.deployment.bootstrap_servers, "other.", tmp_path, partitions=2)
    await other.prepare(registry(scene.hooked))
    for version in (2, 3, 4):
        await publish(other.connection, registry(scene.hooked, version), datetime.now(UTC))
    (astray,) = other.start("announcements")
    try:
        await other.ready()
        mine = named(scene.deployment.processes)
        scene.watch.show(mine | {"announcements": astray.port})
        await scene.watch.fires("HeraldRegistryVersionsApart")
        scene.watch.show(mine)
        await scene.watch.quiet()
    finally:
        other.stop()


@pytest.mark.shows("HeraldTokenExpiring")
async def test_a_token_that_ends_soon_until_it_is_revoked(scene: Scene) -> None:
    connection, now = scene.deployment.connection, datetime.now(UTC)
    token = await issue(connection, "agency-c", "a test", timedelta(days=3), now)
    await scene.watch.fires("HeraldTokenExpiring agency-c")
    await revoke(connection, (await issued(connection))[token.token_id], now)
    await scene.watch.quiet()


@pytest.mark.shows("HeraldCertificateEnds", "HeraldCertificateExpiring")
async def test_a_certificate_that_ends_tomorrow_until_it_is_replaced(scene: Scene) -> None:
    self_signed(scene.deployment.folder / "door.pem", days=1)
    await scene.watch.fires("HeraldCertificateEnds door", "HeraldCertificateExpiring door")
    await scene.suppresses("HeraldCertificateEnds", "HeraldCertificateExpiring")
    managed = await scene.watch.managed()
    assert [managed[name][0] for name in ("HeraldCertificateEnds", "HeraldCertificateExpiring")] == ["page", "ticket"]
    self_signed(scene.deployment.folder / "door.pem", days=90)
    await scene.watch.quiet()


@pytest.mark.shows("HeraldAgencyUntold", "HeraldAgencyWithoutWorkingChannel")
async def test_an_agency_whose_endpoint_is_dead_until_it_lives(scene: Scene) -> None:
    scene.hooked.answer = lambda path: 503 if path == "/agency-b" else 204
    for _ in range(5):  # so many failures in a row open the breaker
        await scene.announce("agency-b")
    channel = "HeraldAgencyWithoutWorkingChannel agency-b"
    await scene.watch.fires("HeraldAgencyUntold agency-b", channel, seconds=200)
    scene.hooked.answer = lambda path: 204
    await scene.watch.quiet(seconds=200)  # once it has been probed


@pytest.mark.shows("HeraldAgencySilent")
async def test_an_agency_that_does_not_answer_until_it_does(scene: Scene) -> None:
    connection = scene.deployment.connection
    hasty = registry(scene.hooked, 2, answer_within="PT3S", answer_within_soon="PT3S")
    await publish(connection, hasty, datetime.now(UTC))
    before = {one["id"] for one in await scene.deployment.events("alerts.agency-c")}
    await scene.announce("agency-c")
    await scene.watch.fires("HeraldAgencySilent agency-c")
    alerts = [one for one in await scene.deployment.events("alerts.agency-c") if one["id"] not in before]
    answer = {name: alerts[0]["data"][name] for name in ("alert_id", "release_id")} | {"disposition": "received"}
    event = {"specversion": "1.0", "id": "at-last", "source": "/agencies/agency-c", "data": answer}
    said = json.dumps(event | {"type": "herald.acknowledgement.submitted.v1"})
    await send(scene.deployment, "acks.agency-c", said.encode())
    await scene.watch.quiet()
    await publish(connection, registry(scene.hooked, 3), datetime.now(UTC))


@pytest.mark.shows("HeraldLag")
async def test_a_service_that_is_behind_and_what_it_told_late(scene: Scene) -> None:
    await scene.stop("announcements")
    await scene.start("announcements", step="begin:1:40")
    await scene.announce("agency-c")
    await scene.watch.fires("HeraldLag announcements")
    late = LATE - {"HeraldAlertLate time"}
    await scene.watch.fires("HeraldLag announcements", *late)
    await scene.watch.quiet(but=LATE)


async def test_a_notifier_that_was_down_is_seen_to_have_told_late_although_it_did_so_at_once(scene: Scene) -> None:
    scene.watch.seen |= LATE
    await scene.watch.quiet(but=LATE - {"HeraldAlertLate statement"}, seconds=200)
    await scene.stop("notifier")
    await scene.announce("agency-c")
    await asyncio.sleep(10)
    await scene.start("notifier")
    await scene.watch.fires("HeraldAlertLate statement", among=LATE)
    await scene.watch.quiet(but=LATE)


@pytest.mark.shows("HeraldTransitionLate")
async def test_an_opening_that_is_late(scene: Scene) -> None:
    opens = datetime.now(UTC) + timedelta(seconds=8)
    early = {"opens": opens.isoformat().replace("+00:00", "Z")}
    soon = (opens + timedelta(days=10)).isoformat().replace("+00:00", "Z")
    scheduled = len(await scene.deployment.events("alerts.agency-c"))
    await scene.announce("agency-c", early_access=early, trusted_partner_release_at=soon)
    await scene.deployment.settled("alerts.agency-c", scheduled + 1)
    await scene.stop("windows")
    await asyncio.sleep(20)  # it is down while the window is to open
    await scene.start("windows")
    await scene.watch.fires("HeraldTransitionLate windows", "HeraldAlertLate time", among=LATE)
    await scene.watch.quiet(but=LATE, seconds=200)


async def test_prometheus_as_it_is_shipped_scrapes_all_of_herald_up_and_finds_nothing_wrong(tmp_path: Path) -> None:
    data = tmp_path / ".herald"
    command = [sys.executable, "-m", "services.cli.main", "up", "--data", str(data), "--json"]
    with (tmp_path / "up.log").open("wb") as log:
        up = subprocess.Popen(tied(command), stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: ASYNC220
    try:
        assert up.stdout is not None
        await asyncio.to_thread(lambda: next(line for line in up.stdout or () if '"ready"' in line))
        with watching(tmp_path) as watch:
            await watch.all_up(len(SERVICES) + len(("door", "watchdog")), seconds=120)
            assert {rule["health"] for rule in await watch.rules()} == {"ok"}
            assert await watch.firing() == set()
    finally:
        up.terminate()
        await asyncio.to_thread(up.wait, 60)
