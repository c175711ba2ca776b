"""A drill on a real Kafka, with real receivers: who gets it, how, who answers, and what is left of it afterwards."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from schemas.registry import Registry
from tests.broker import flow
from tests.broker.deployment import ALL, Deployment
from tests.broker.receivers import SECRET, Hooks, Mails
from tests.broker.test_deployment import send

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


def registry(hooked: Hooks, mailed: Mails) -> Registry:
    """agency-a and agency-b take part, each with a second tier that the notifier would not ask; agency-c does not."""
    whole = json.loads(flow.registry().model_dump_json())
    hook = {"channel": "webhook", "tier": "watch", "secrets": ["env:HOOK_SECRET"]}
    both = {"tiers": ["watch", "lead"], "exercises": True, "kinds": ["closed"]}
    whole["agencies"]["agency-a"] |= both | {
        "endpoints": {
            "desk": hook | {"url": f"{hooked.address}/a"},
            "lead": {"channel": "email", "tier": "lead", "to": "lead@a.example"},
            "thin": hook | {"tier": "lead", "url": f"{hooked.address}/thin", "content": "thin"},
        }
    }
    whole["agencies"]["agency-b"] |= both | {
        "endpoints": {
            "desk": hook | {"url": f"{hooked.address}/b"},
            "pager": hook | {"tier": "lead", "url": f"{hooked.address}/broken"},
        }
    }
    whole["labs"]["drill-desk"] = {"name": "Drills"}
    whole |= {"drills": {"lab": "drill-desk", "every": "P28D"}, "mail": mailed.relay, "allow_networks": ["127.0.0.0/8"]}
    return Registry.model_validate_json(json.dumps(whole))


@dataclass(slots=True)
class Operator:
    """Runs `herald drill` beside the services, and acts for the agencies."""

    deployment: Deployment

    async def begin(self, *arguments: str) -> Process:
        """Starts the command."""
        kafka = {"BOOTSTRAP_SERVERS": self.deployment.bootstrap_servers, "TOPIC_PREFIX": self.deployment.prefix}
        env = os.environ | {f"HERALD_KAFKA__{name}": value for name, value in kafka.items()}
        command = [sys.executable, "-m", "services.cli.main", "drill", *arguments]
        return await asyncio.create_subprocess_exec(*command, env=env, stdout=PIPE, stderr=PIPE)

    async def ended(self, process: Process, code: int) -> tuple[list[dict[str, Any]], str]:
        """What it printed: objects, and what stands beside them."""
        out, beside = await process.communicate()
        assert process.returncode == code, (out.decode(), beside.decode())
        return [json.loads(line) for line in out.decode().splitlines()], beside.decode()

    async def alert(self, agency: str, count: int = 1) -> dict[str, Any]:
        """The agency's latest alert, once there are so many."""
        return dict((await self.deployment.settled(f"alerts.{agency}", count))[-1]["data"])

    async def answer(self, agency: str, alert: dict[str, Any]) -> None:
        """The agency acknowledges."""
        data = {name: alert[name] for name in ("alert_id", "release_id")} | {"disposition": "received"}
        event = {"specversion": "1.0", "id": alert["alert_id"], "source": f"/agencies/{agency}", "data": data}
        event["type"] = "herald.acknowledgement.submitted.v1"
        await send(self.deployment, f"acks.{agency}", json.dumps(event).encode())

    async def came(self, kind: str, **about: str) -> dict[str, Any]:
        """An outcome of a kind about this, once there is one."""
        while True:
            for event in await self.deployment.events("delivery-outcomes", 2):
                if kind in event["type"] and about.items() <= event["data"].items():
                    return dict(event["data"])
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(
    kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks, mailed: Mails
) -> AsyncIterator[Operator]:
    """Everything that a drill goes through."""
    folder = tmp_path_factory.mktemp("drilling")
    env = {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder), "HERALD_DOOR__PORT": "8443"}
    found = Deployment(kafka, "drilling.", folder, partitions=2, env=env)
    await found.prepare(registry(hooked, mailed))
    found.start(*ALL, "deliveries")
    await found.ready()
    yield Operator(found)
    found.stop()


async def test_who_takes_no_part_is_not_drilled(operator: Operator) -> None:
    _, said = await operator.ended(await operator.begin("--agency", "agency-c"), 2)
    assert said == "herald: --agency agency-c takes no part in drills: its entry does not say `exercises: true`\n"
    assert await operator.deployment.events("releases.drill-desk") == []
    assert await operator.deployment.events("audit") == []


async def test_a_drill_reaches_every_channel_and_says_who_has_got_it_who_has_not_and_who_answered(
    operator: Operator, hooked: Hooks, mailed: Mails
) -> None:
    hooked.answer = lambda path: 410 if path == "/broken" else 204
    process = await operator.begin("--json", "--wait", "2m")
    alerts = {agency: await operator.alert(agency) for agency in ("agency-a", "agency-b")}
    for agency, alert in alerts.items():
        await operator.answer(agency, alert)
    rows, _ = await operator.ended(process, 1)
    drill = rows.pop()
    assert {(row["agency"], row.get("endpoint", row["what"])): row["outcome"] for row in rows} == {
        ("agency-a", "topic"): "written",
        ("agency-a", "desk"): "taken",
        ("agency-a", "lead"): "taken",
        ("agency-a", "thin"): "taken",
        ("agency-a", "acknowledgement"): "acknowledged",
        ("agency-b", "topic"): "written",
        ("agency-b", "desk"): "taken",
        ("agency-b", "pager"): "abandoned",
        ("agency-b", "acknowledgement"): "acknowledged",
    }
    assert [row["reason"] for row in rows if "reason" in row] == ["gone"]
    assert {(row["attempts"], row["seconds"] >= 0) for row in rows if row["outcome"] == "taken"} == {(1, True)}
    assert (drill["outcome"], drill["not_ready"]) == ("not-ready", ["agency-b"])
    alert = alerts["agency-a"]
    assert (alert["kind"], alert["exercise"], alert["asks"]) == ("opened", True, "received")
    assert drill["word"] in alert["content"]["handling"]
    bodies = {path: json.dumps(body) for path, _, body in hooked.taken}
    assert {path: drill["word"] in body for path, body in bodies.items()} == {"/a": True, "/b": True, "/thin": False}
    (mail,) = mailed.taken
    assert drill["word"] not in mail.as_string()
    assert "EXERCISE" in str(mail["subject"])
    audited = [event["data"] for event in await operator.deployment.events("audit")]
    assert [(one["action"], one["release_ids"]) for one in audited] == [("drill.start", [drill["release_id"]])]

    closed = await operator.alert("agency-a", 2)  # and nothing more is asked of anybody
    assert (closed["kind"], closed.get("asks"), closed["chased"], closed["sequence"]) == ("closed", None, False, 2)

    again, _ = await operator.ended(await operator.begin("--last", "--json"), 1)
    assert again == [*rows, drill]
    shown, _ = await (await operator.begin("--last")).communicate()
    assert f"drill {drill['drill']}, begun {drill['begun_at']}, its word is {drill['word']}\n" in shown.decode()
    assert "agency-b/pager                   webhook      abandoned, 1 attempt (gone)\n" in shown.decode()
    ((said,), _) = await operator.ended(await operator.begin("--due", "--json"), 0)
    assert said["outcome"] == "not-due"
    assert len(await operator.deployment.events("releases.drill-desk")) == 2


async def test_at_ctrl_c_the_report_so_far_is_shown_and_what_was_not_taken_is_taken_back(
    operator: Operator, hooked: Hooks
) -> None:
    hooked.answer = lambda path: 500 if path == "/broken" else 204
    process = await operator.begin("--json", "--agency", "agency-b", "--wait", "1h")
    failed = await operator.came("failed", endpoint="pager")
    process.send_signal(signal.SIGINT)
    rows, _ = await operator.ended(process, 130)
    assert [(row.get("endpoint", row["what"]), row["outcome"], row.get("reason")) for row in rows] == [
        ("topic", "written", None),
        ("desk", "taken", None),
        ("pager", "failing", "server-error"),
        ("acknowledgement", "not-acknowledged", None),
        ("drill", "not-ready", None),
    ]
    given_up = await operator.came("abandoned", delivery_id=failed["delivery_id"])
    assert given_up["reason"] == "superseded"
    assert len(await operator.deployment.events("alerts.agency-a")) == 2
