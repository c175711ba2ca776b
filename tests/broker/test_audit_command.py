"""`herald audit`, `export` and `trace` on a real Kafka, after real services, and after somebody else has written."""

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.registry import Registry
from services.audit.run import audit
from tests.broker import flow
from tests.broker.deployment import ALL, Deployment
from tests.broker.receivers import SECRET, Hooks
from tests.broker.test_deployment import send

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


def registry(hooked: Hooks, version: int = 1) -> Registry:
    """agency-a is told by webhook as well; in version 2, agency-c takes what concerns biology alone."""
    whole = json.loads(flow.registry().model_dump_json()) | {"allow_networks": ["127.0.0.0/8"], "version": version}
    hook = {"channel": "webhook", "tier": "watch", "secrets": ["env:HOOK_SECRET"], "url": f"{hooked.address}/a"}
    whole["agencies"]["agency-a"]["endpoints"] = {"desk": hook}
    if version == 2:
        whole["agencies"]["agency-c"]["interests"] = {"capabilities": ["biology"]}
    return Registry.model_validate_json(json.dumps(whole))


@dataclass(slots=True)
class Auditor:
    """Runs commands on a deployment whose services have written what they write."""

    deployment: Deployment

    async def run(self, *arguments: str, code: int = 0) -> tuple[list[dict[str, Any]], str]:
        """What a command printed: objects, and what stands beside them."""
        kafka = {"BOOTSTRAP_SERVERS": self.deployment.bootstrap_servers, "TOPIC_PREFIX": self.deployment.prefix}
        env = os.environ | {f"HERALD_KAFKA__{name}": value for name, value in kafka.items()}
        command = [sys.executable, "-m", "services.cli.main", *arguments, "--json"]
        process = await asyncio.create_subprocess_exec(*command, env=env, stdout=PIPE, stderr=PIPE)
        out, beside = await process.communicate()
        assert process.returncode == code, (out.decode(), beside.decode())
        return [json.loads(line) for line in out.decode().splitlines()], beside.decode()

    async def say(self, topic: str, kind: str, data: dict[str, Any], event_id: str) -> None:
        """A lab or an agency speaks."""
        family, _, who = topic.partition(".")
        source = f"/{'labs' if family == 'releases' else 'agencies'}/{who}"
        event = {"specversion": "1.0", "id": event_id, "source": source, "type": f"herald.{kind}.v1", "data": data}
        await send(self.deployment, topic, json.dumps(event).encode())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def auditor(kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks) -> AsyncIterator[Auditor]:
    """Releases stated, revised, withdrawn, answered; a registry that changes; then the services have ended."""
    folder = tmp_path_factory.mktemp("auditing")
    env = {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder)}
    deployment = Deployment(kafka, "auditing.", folder, partitions=2, env=env)
    found = Auditor(deployment)
    await deployment.prepare(registry(hooked))
    deployment.start(*ALL, "deliveries")
    await deployment.ready()
    for number, lab in enumerate(("lab-a", "lab-b", "lab-a")):
        await found.say(f"releases.{lab}", "release.announced", flow.release(f"m-{number}"), f"first-{number}")
    for agency in flow.AGENCIES:
        await deployment.settled(f"alerts.{agency}", 3)
    await deployment.prepare(registry(hooked, version=2))
    told = await deployment.settled("alerts.agency-c", 6)
    await found.say("releases.lab-a", "release.announced", flow.release("m-0", handling="so"), "again")
    await found.say("releases.lab-b", "release.withdrawn", {"reference": "m-1"}, "no-more")
    alerts = [event["data"] for event in await deployment.settled("alerts.agency-a", 5)]
    alert = next(one for one in alerts if one["content"]["reference"] == "m-0")
    answer = {name: alert[name] for name in ("alert_id", "release_id")} | {"disposition": "participating"}
    await found.say("acks.agency-a", "acknowledgement.submitted", answer, "answer")
    await deployment.settled("receipts.agency-a", 1)
    await deployment.settled("delivery-outcomes", 5, partitions=2)
    assert {event["data"]["kind"] for event in told} == {"scheduled", "no-longer-addressed"}
    deployment.stop()
    yield found


async def test_after_real_services_nothing_differs(auditor: Auditor) -> None:
    rows, said = await auditor.run("audit", "--grace", "0s")
    assert rows == []
    assert "of 3 releases are audited: nothing differs" in said
    report = await audit(auditor.deployment.connection)
    assert (report.differences, report.releases, report.skipped) == ((), 3, 0)


async def test_evidence_is_exported_after_that_is_written_down_and_verified_with_the_public_key_alone(
    auditor: Auditor, tmp_path: Path
) -> None:
    key, public, out = (str(tmp_path / name) for name in ("evidence.key", "evidence.pub", "m-0.evidence"))
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)  # noqa: ASYNC221, S607
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)  # noqa: ASYNC221, S607
    ((made,), _) = await auditor.run("export", "lab-a/m-0", "--key", key, "--out", out)
    (entry,) = [event["data"] for event in await auditor.deployment.events("audit")]
    assert (entry["action"], entry["release_ids"]) == ("release.export", [made["release_id"]])
    ((verified,), _) = await auditor.run("export", "--verify", out, "--public-key", public)
    assert (verified["outcome"], verified["signer"]) == ("verified", made["signer"])
    assert sum(verified["topics"].values()) == made["records"]
    wanted = {"releases", "announcements", "windows", "alerts", "alerts.agency-a", "deliveries", "delivery-outcomes"}
    assert wanted | {"acks", "acknowledgements", "receipts.lab-a", "registry-versions"} <= verified["topics"].keys()
    assert verified["topics"]["windows"] == 2
    assert Path(out).stat().st_mode & 0o077 == 0
    text = Path(out).read_bytes()
    Path(out).write_bytes(text.replace(b"participating", b"declined", 1))
    ((refused,), _) = await auditor.run("export", "--verify", out, "--public-key", public, code=3)
    assert refused["outcome"] == "refused"
    assert "is there already" in (await auditor.run("export", "lab-a/m-0", "--key", key, "--out", out, code=2))[1]
    assert (
        "is no Ed25519 private key"
        in (await auditor.run("export", "lab-a/m-0", "--key", public, "--out", f"{out}.2", code=2))[1]
    )
    assert "keeps nothing" in (await auditor.run("export", "lab-a/m-9", "--key", key, "--out", f"{out}.2", code=2))[1]


async def test_a_trace_shows_each_hop_behind_the_one_that_led_to_it(auditor: Auditor) -> None:
    hops, _ = await auditor.run("trace", "lab-a/m-0")
    places = {hop["where"]: hop for hop in hops}
    answered = next(hop for hop in hops if hop["hop"] == "answered")
    names = [answered["hop"]]
    while (cause := places.get(answered["cause"])) is not None:
        names.append(cause["hop"])
        answered = cause
    assert names == ["answered", "taken", "said", "alert", "window", "recorded", "taken", "said"]
    assert all((hop["after_ms"] is None) == (hop["cause"] is None) for hop in hops)
    assert {hop["about"].split(",")[0] for hop in hops if hop["hop"] == "outcome"} == {"agency-a/desk"}
    assert "Model" not in json.dumps(hops)
    assert "m-9: Kafka keeps nothing" in (await auditor.run("trace", "lab-a/m-9", code=2))[1]


async def test_what_is_written_by_somebody_else_is_found_and_shown_without_what_it_says(auditor: Auditor) -> None:
    (record,) = (await auditor.deployment.read("alerts.agency-b"))[:1]
    forged = json.loads(record.value)
    forged["data"]["content"]["handling"] = "tell everybody"
    producer = auditor.deployment.connection.producer()
    await producer.start()
    for topic, value in (
        ("alerts", json.dumps(forged).encode()),
        ("alerts.agency-c", record.value),
        ("reminders", b"{}"),
        ("delivery-outcomes", (await auditor.deployment.read("alerts.agency-a"))[0].value),
    ):
        await producer.send_and_wait(auditor.deployment.connection.topic(topic), value, key=record.key)
    await producer.stop()
    rows, said = await auditor.run("audit", "--grace", "0s", code=1)
    alert = forged["data"]["alert_id"]
    kinds = {(row["kind"], row.get("alert_id")) for row in rows}
    assert {("alert-duplicate", alert), ("edge-copy-unexpected", alert), ("unreadable-record", None)} <= kinds
    assert ("edge-copy-differs", alert) in kinds  # of the two, the one that does not read so is the agency's
    places = {row["where"].split()[0] for row in rows}
    assert places == {"alerts", "alerts.agency-b", "alerts.agency-c", "reminders", "delivery-outcomes"}
    assert "tell everybody" not in json.dumps(rows)
    assert "1 alert-duplicate" in said
    assert (await auditor.run("audit"))[0] == []  # it is not a minute old


async def test_a_since_that_is_none_is_refused_and_one_that_is_bounds_what_is_shown(auditor: Auditor) -> None:
    assert "write a time with a zone" in (await auditor.run("audit", "--since", "yesterday", code=2))[1]
    assert (await auditor.run("audit", "--grace", "0s", "--since", "2099-01-01T00:00:00Z"))[0] == []
