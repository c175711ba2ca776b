"""A fault for each alert, on a real Herald beside Debian's Prometheus: it fires, and only what belongs to it.

Recovery ends it. The rules run twelve times as fast (`watching.faster` says what that changes): a minute is five
seconds. Nothing is hurt here for what takes hours of load (HeraldLagGrowing, HeraldShardsReopen,
HeraldAgenciesToldApart, HeraldEndpointFailing), for HeraldPartitionUnreadable, and for what nobody measures yet (the
watchdog's and the audit's): those are shown on written series alone, in deploy/prometheus/tests.
"""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.registry import Registry
from schemas.topics import SERVICES
from services.embedded.lifeline import tied
from services.embedded.ports import is_listening
from services.kernel.credential_log import issue, issued, revoke
from services.kernel.registry_log import publish
from tests.broker import flow
from tests.broker.certificates import self_signed
from tests.broker.deployment import Deployment, Process
from tests.broker.receivers import SECRET, Hooks
from tests.broker.test_deployment import send, statement
from tests.broker.test_embedded import herald
from tests.broker.watching import Watch, named, needs_alertmanager, needs_prometheus, watching
from tests.scale import long_run

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(400),
    long_run,
    needs_prometheus,
    needs_alertmanager,
]

LATE = {
    "HeraldAlertLate time",
    "HeraldAlertLate statement",
    "HeraldAlertsLateFast",
    "HeraldAlertsLateSteadily",
    "HeraldAlertsLateSlowly",
    "HeraldAlertsLatePersistently",
}
"""What an alert that was late is seen in, for as long as each rule looks back."""


def registry(hooked: Hooks, version: int = 1, **policy: str) -> Registry:
    """agency-a and agency-b take webhooks, agency-c has none."""
    whole = json.loads(flow.registry().model_dump_json())
    hook = {"channel": "webhook", "tier": "watch", "secrets": ["env:HOOK_SECRET"]}
    for name in flow.AGENCIES:
        whole["agencies"][name] |= {"tiers": ["watch"]}
    for name in flow.CHOSEN:
        whole["agencies"][name]["endpoints"] = {"desk": hook | {"url": f"{hooked.address}/{name}"}}
    whole |= {"version": version, "allow_networks": ["127.0.0.0/8"]}
    whole["policy"] |= policy
    return Registry.model_validate_json(json.dumps(whole))


class Scene:
    """A Herald, its watch, and a receiver."""

    def __init__(self, deployment: Deployment, watch: Watch, hooked: Hooks) -> None:
        self.deployment, self.watch, self.hooked = deployment, watch, hooked
        self._said = 0

    def of(self, name: str) -> Process:
        """The live process of a service."""
        return next(p for p in self.deployment.processes if p.name == name and p.popen.poll() is None)

    async def stop(self, name: str) -> None:
        """Ends a service as planned: it is no target any more."""
        process = self.of(name)
        self.watch.show(named(one for one in self.deployment.processes if one is not process))
        process.signal(signal.SIGTERM)
        await asyncio.to_thread(process.popen.wait, 30)

    async def start(self, name: str, *, wait: bool = True, **hurt: str) -> Process:
        """Starts a service anew. It is a target once it listens."""
        (process,) = self.deployment.start(name, **hurt)
        while not is_listening(process.port):
            await asyncio.sleep(0.1)
        self.watch.show(named(self.deployment.processes))
        if wait:
            await self.deployment.ready(process)
        return process

    async def announce(self, agency: str, **changes: Any) -> None:
        """A release for one agency."""
        self._said += 1
        name = f"scene-{self._said}"
        audience = {"mode": "listed", "agencies": [agency]}
        await send(self.deployment, "releases.lab-a", statement(name, name, audience=audience, **changes))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("alerting")
    cert, key = self_signed(folder / "door.pem", days=90)
    env = {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder / ".herald")}
    env |= {"HERALD_DOOR__TLS_CERTFILE": str(cert), "HERALD_DOOR__TLS_KEYFILE": str(key)}
    deployment = Deployment(kafka, "alerting.", folder, partitions=2, env=env)
    await deployment.prepare(registry(hooked))
    deployment.start(*SERVICES, "gateway.door")
    try:
        await deployment.ready()
        with watching(folder, factor=12, managed=True) as watch:
            found = Scene(deployment, watch, hooked)
            watch.show(named(deployment.processes))
            await watch.all_up(len(SERVICES) + 1)
            yield found
    finally:
        deployment.stop()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def quiet(scene: Scene) -> None:
    """What the last test has left is over, but for what looks back for longer."""
    scene.watch.seen |= LATE
    await scene.watch.quiet(but=LATE)


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


async def test_no_targets(scene: Scene) -> None:
    scene.watch.show({})
    await scene.watch.fires("HeraldNotScraped")
    scene.watch.show(named(scene.deployment.processes))
    await scene.watch.quiet()


async def test_what_a_lab_sends_is_no_event_until_it_sends_one(scene: Scene) -> None:
    await send(scene.deployment, "releases.lab-b", b"no event")
    await scene.watch.fires("HeraldEdgeDeadLetters gateway")
    event = {"specversion": "1.0", "id": "heals", "source": "/labs/lab-b", "data": {"reference": "never-announced"}}
    await send(scene.deployment, "releases.lab-b", json.dumps(event | {"type": "herald.release.withdrawn.v1"}).encode())
    await scene.watch.quiet()


async def test_a_shard_that_does_not_open(scene: Scene) -> None:
    await scene.stop("acknowledgements")
    await scene.start("acknowledgements", wait=False, step="fence:1:45")
    shard = "HeraldShardWithoutOwner acknowledgements"
    await scene.watch.fires(shard, "HeraldNotReady acknowledgements")
    await scene.watch.quiet()


async def test_a_record_that_cannot_be_decided_until_it_is_given_back(scene: Scene) -> None:
    await scene.stop("windows")
    await scene.start("windows", poison="record:indigestible")
    await scene.announce("agency-c", handling="indigestible")
    await scene.watch.fires("HeraldDeadLetters windows")
    await scene.stop("windows")
    await scene.start("windows")
    settings = {
        "HERALD_KAFKA__BOOTSTRAP_SERVERS": scene.deployment.bootstrap_servers,
        "HERALD_KAFKA__TOPIC_PREFIX": scene.deployment.prefix,
        "HERALD_PARTITIONS": "2",
    }
    given = await asyncio.to_thread(herald, "dead-letters", "replay", "--all", **settings)
    assert given.returncode == 0, given.stdout + given.stderr
    await scene.watch.quiet(but=LATE)


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


async def test_a_token_that_ends_soon_until_it_is_revoked(scene: Scene) -> None:
    connection, now = scene.deployment.connection, datetime.now(UTC)
    token = await issue(connection, "agency-c", "a test", timedelta(days=3), now)
    await scene.watch.fires("HeraldTokenExpiring agency-c")
    await revoke(connection, (await issued(connection))[token.token_id], now)
    await scene.watch.quiet()


async def test_a_certificate_that_ends_tomorrow_until_it_is_replaced(scene: Scene) -> None:
    self_signed(scene.deployment.folder / "door.pem", days=1)
    await scene.watch.fires("HeraldCertificateEnds door", "HeraldCertificateExpiring door")
    for _ in range(100):
        managed = await scene.watch.managed()
        if managed.get("HeraldCertificateExpiring", ("", ""))[1] == "suppressed":
            break
        await asyncio.sleep(0.2)
    assert managed["HeraldCertificateEnds"] == ("page", "active")
    assert managed["HeraldCertificateExpiring"] == ("ticket", "suppressed")
    self_signed(scene.deployment.folder / "door.pem", days=90)
    await scene.watch.quiet()


async def test_an_agency_whose_endpoint_is_dead_until_it_lives(scene: Scene) -> None:
    scene.hooked.answer = lambda path: 503 if path == "/agency-b" else 204
    for _ in range(5):  # so many failures in a row open the breaker
        await scene.announce("agency-b")
    channel = "HeraldAgencyWithoutWorkingChannel agency-b"
    await scene.watch.fires("HeraldAgencyUntold agency-b", channel, seconds=200)
    scene.hooked.answer = lambda path: 204
    await scene.watch.quiet(seconds=200)  # once it has been probed


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
            await watch.all_up(len(SERVICES) + 1, seconds=120)
            assert {rule["health"] for rule in await watch.rules()} == {"ok"}
            assert await watch.firing() == set()
    finally:
        up.terminate()
        await asyncio.to_thread(up.wait, 60)
