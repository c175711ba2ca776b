"""Whatever is changed or shown through the door stands in `audit` first, and `herald disclosures` lists who knows."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from typer.testing import CliRunner, Result

from services.cli.main import command_line
from services.kernel.registry_log import in_force, publish
from tests.broker.doorway import Door, opened
from tests.broker.flow import AGENCIES, registry, release
from tests.broker.test_door import announced, told

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
CLOUD_EVENT = {"Content-Type": "application/cloudevents+json"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """One deployment for the tests of this file."""
    folder = tmp_path_factory.mktemp("audit")
    async with opened(kafka, "audit.", folder, registry(), ("lab-a", "lab-b", *AGENCIES)) as door:
        yield door


async def audited(door: Door) -> list[dict[str, Any]]:
    """Everything that stands in `audit`."""
    return [event["data"] for event in await door.deployment.events("audit")]


async def command(door: Door, *arguments: str) -> Result:
    """A command on this deployment."""
    env = {"HERALD_KAFKA__BOOTSTRAP_SERVERS": door.deployment.bootstrap_servers, "HERALD_KAFKA__TOPIC_PREFIX": "audit."}
    return await asyncio.to_thread(lambda: CliRunner().invoke(command_line(), arguments, env=env))


async def test_each_change_and_each_look_is_recorded_once_and_nothing_else_is(door: Door) -> None:
    release_id = await announced(door, "said-and-read")
    alert = await told(door, "agency-a", release_id)
    before = len(await audited(door))
    cursor = (await door.get("agency-a", "/v1/alerts?limit=1000")).json()["cursor"]
    event = {"specversion": "1.0", "id": "a-secret-name", "source": "/labs/lab-a"}
    said = event | {"type": "herald.release.withdrawn.v1", "data": {"reference": "said-and-read"}}
    answer = {"json": {"disposition": "received"}}
    calls: list[tuple[str, str, str, dict[str, Any], int, str | None, int]] = [
        ("lab-a", "GET", f"/v1/releases/{release_id}", {}, 200, "release.read", 0),
        ("lab-b", "GET", f"/v1/releases/{release_id}", {}, 404, None, 0),
        ("agency-a", "GET", f"/v1/releases/{release_id}", {}, 403, None, 0),
        ("agency-a", "GET", "/v1/windows", {}, 200, "window.read", 1),
        ("agency-a", "GET", f"/v1/alerts?after={cursor}", {}, 200, None, 0),
        ("agency-b", "GET", "/v1/alerts?limit=1000", {}, 200, "alert.read", 1),
        ("lab-a", "GET", "/v1/receipts/none", {}, 404, None, 0),
        ("lab-a", "POST", "/v1/releases", {"content": "{"}, 415, None, 0),
        ("lab-a", "POST", "/v1/releases", {"json": {"reference": "said-and-read"}}, 422, None, 0),
        ("lab-a", "POST", "/v1/releases?wait=20", {"json": release("said-and-read")}, 200, "release.announce", 0),
        ("agency-a", "POST", f"/v1/alerts/{alert['id']}/acknowledgement?wait=20", answer, 200, "alert.acknowledge", 1),
        ("agency-b", "POST", f"/v1/alerts/{alert['id']}/acknowledgement?wait=20", answer, 404, None, 0),
        (
            "lab-a",
            "POST",
            "/v1/events?wait=20",
            {"content": json.dumps(said), "headers": CLOUD_EVENT},
            200,
            "release.withdraw",
            0,
        ),
        ("lab-a", "GET", "/v1/receipts/a-secret-name", {}, 200, "receipt.read", 0),
    ]
    expected = [
        {
            "action": "alert.read",  # of the cursor, above
            "participant": "agency-a",
            "credential": f"token/{door.tokens['agency-a'].token_id}",
            "release_ids": [release_id],
            "alert_ids": [alert["id"]],
        }
    ]
    for who, method, path, more, status, action, alerts in calls:
        async with door.client(who) as client:
            found = await client.request(method, path, **more)
        assert found.status_code == status, (who, method, path, found.text)
        if action is not None:
            expected.append(
                {
                    "action": action,
                    "participant": who,
                    "credential": f"token/{door.tokens[who].token_id}",
                    "request_id": found.headers["X-Request-Id"],
                    "release_ids": [release_id],
                    "alert_ids": [_first_alert(found, alert)] if alerts else [],
                }
            )
    entries = (await audited(door))[before:]
    changes = [entry.pop("event") for entry in entries if "event" in entry]
    assert [{name: entry[name] for name in wanted} for entry, wanted in zip(entries, expected, strict=True)] == expected
    known = {event["id"] for name in ("releases", "acks") for event in await door.deployment.events(name, 2)}
    assert len(changes) == 3
    assert set(changes) <= known
    raw = b"".join(record.value for record in await door.deployment.read("audit"))
    assert not [word for word in (b"said-and-read", b"a-secret-name", b"Model", b"herald_") if word in raw]


def _first_alert(answer: httpx.Response, acknowledged: dict[str, Any]) -> str:
    body = answer.json()
    shown = body.get("alerts") or body.get("windows") or [acknowledged]
    return str(shown[0]["id"])


async def test_a_stream_is_recorded_batch_by_batch_and_nothing_is_sent_that_is_not(door: Door) -> None:
    for reference in ("streamed-1", "streamed-2"):
        await announced(door, reference)
    wanted = [one["id"] for one in await door.deployment.events("alerts.agency-c")]
    before, got = len(await audited(door)), []
    async with door.client("agency-c") as client, client.stream("GET", "/v1/alerts/stream") as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                got.append(json.loads(line[6:])["id"])
            if len(got) == len(wanted):
                break
    entries = (await audited(door))[before:]
    assert got == wanted
    assert [alert for entry in entries for alert in entry["alert_ids"]] == wanted
    assert len(entries) < len(wanted)
    assert {(entry["participant"], entry["request_id"]) for entry in entries} == {
        ("agency-c", answer.headers["X-Request-Id"])
    }


async def test_what_cannot_be_recorded_is_neither_done_nor_shown(door: Door) -> None:
    release_id = await announced(door, "unrecorded")
    alert = await told(door, "agency-a", release_id)
    written = len(await door.deployment.read("releases.lab-a")), len(await door.deployment.read("acks.agency-a"))
    await asyncio.to_thread(largest, door, 100)  # no record is as small as that
    try:
        for who, method, path, more in (
            ("lab-a", "POST", "/v1/releases", {"json": release("unrecorded-2")}),
            ("lab-a", "GET", f"/v1/releases/{release_id}", {}),
            ("agency-a", "GET", "/v1/alerts", {}),
            ("agency-a", "GET", "/v1/windows", {}),
            ("agency-a", "POST", f"/v1/alerts/{alert['id']}/acknowledgement", {"json": {"disposition": "received"}}),
        ):
            async with door.client(who) as client:
                found = await client.request(method, path, **more)
            assert (found.status_code, found.json()["type"]) == (503, "urn:herald:problem:not_audited"), path
            assert release_id not in found.text
        assert release_id not in (await door.get("agency-a", "/v1/alerts/stream")).text  # it ends
    finally:
        await asyncio.to_thread(largest, door, 1024 * 1024)
    now = len(await door.deployment.read("releases.lab-a")), len(await door.deployment.read("acks.agency-a"))
    assert now == written
    assert (await door.get("lab-a", f"/v1/releases/{release_id}")).status_code == 200


def largest(door: Door, size: int) -> None:
    """Sets how large a record of `audit` may be; when it returns, the broker goes by it."""
    admin = AdminClient({"bootstrap.servers": door.deployment.bootstrap_servers})
    topic = ConfigResource(ResourceType.TOPIC, door.deployment.connection.topic("audit"))
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    topic.add_incremental_config(entry)
    admin.incremental_alter_configs([topic])[topic].result(20)
    while admin.describe_configs([topic])[topic].result(20)["max.message.bytes"].value != str(size):
        pass


async def test_though_the_door_is_killed_under_load_no_change_is_without_its_record(door: Door) -> None:
    taken = 0

    async def speak(number: int) -> None:
        nonlocal taken
        async with door.client("lab-b") as client:
            for turn in range(50):
                try:
                    said = release(f"killed-{number}", handling=str(turn))
                    assert (await client.post("/v1/releases", json=said)).status_code == 202
                except httpx.TransportError:
                    return
                taken += 1

    speaking = [asyncio.create_task(speak(number)) for number in range(4)]
    while taken < 20:
        await asyncio.sleep(0.01)
    door.process.kill()
    await asyncio.gather(*speaking)
    await door.reopen()
    said = len(await door.deployment.read("releases.lab-b"))
    releases = await door.deployment.settled("releases", said, 2)
    mine = {event["id"] for event in releases if event["source"] == "/labs/lab-b"}
    assert taken <= len(mine) < 200
    assert mine <= {entry.get("event") for entry in await audited(door)}


async def test_on_the_day_of_a_leak_all_who_were_told_or_looked_are_listed(door: Door) -> None:
    audience = {"mode": "listed", "agencies": list(AGENCIES)}
    release_id, other = await announced(door, "leaked", audience=audience), await announced(door, "sound")
    alert = await told(door, "agency-b", release_id)
    await door.get("agency-b", "/v1/windows")
    await door.get("lab-a", f"/v1/releases/{other}")
    await door.post("agency-b", f"/v1/alerts/{alert['id']}/acknowledgement", json={"disposition": "received"})

    async def listed(*arguments: str) -> tuple[list[dict[str, Any]], str]:
        done = await command(door, "disclosures", *arguments, "--json")
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr or str(done.exception)

    rows, summed = await listed("lab-a/leaked")
    assert rows == (await listed(release_id))[0]
    assert sorted(row["who"] for row in rows if row["action"] == "told") == list(AGENCIES)
    looked = {(row["who"], row["action"]) for row in rows if row["action"] != "told"}
    assert looked == {
        ("lab-a", "release.announce"),
        ("lab-a", "release.read"),
        ("agency-b", "alert.read"),
        ("agency-b", "window.read"),
        ("agency-b", "alert.acknowledge"),
    }
    assert {alert_id for row in rows if row["who"] == "agency-b" for alert_id in row["alert_ids"]} == {alert["id"]}
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), key=datetime.fromisoformat)
    assert "told: agency-a, agency-b, agency-c; through the door: agency-b, lab-a" in summed
    marked = datetime.now(UTC).isoformat()
    await door.get("agency-b", "/v1/windows")
    later, _ = await listed(release_id, "--since", marked)
    assert [(row["who"], row["action"], row["alert_ids"]) for row in later] == [
        ("agency-b", "window.read", [alert["id"]])
    ]
    assert (await listed("lab-a/never-said"))[0] == []
    assert "no-lab is no lab" in (await listed("no-lab/x"))[1]


async def test_what_an_operator_commands_is_recorded_too(door: Door) -> None:
    before = len(await audited(door))
    token = json.loads((await command(door, "tokens", "issue", "lab-b", "--name", "x", "--json")).stdout)
    await command(door, "tokens", "revoke", token["token_id"])
    entries = (await audited(door))[before:]
    assert [(entry["action"], entry["target"], entry["credential"]) for entry in entries] == [
        ("token.issue", "lab-b", "kafka/anonymous"),
        ("token.revoke", token["token_id"], "kafka/anonymous"),
    ]
    assert not any("participant" in entry for entry in entries)


async def test_a_dry_run_answers_what_then_happens_and_writes_nothing_but_that_it_was_asked(door: Door) -> None:
    topics = ["releases.lab-a", "receipts.lab-a", *[f"alerts.{agency}" for agency in AGENCIES]]

    async def written() -> list[int]:
        return [len(await door.deployment.read(topic)) for topic in topics]

    said = release("tried", early_access={"opens": "P45D"}, audience={"mode": "listed", "agencies": list(AGENCIES[:2])})
    before, asked = await written(), len(await audited(door))
    tried = await door.post("lab-a", "/v1/releases?dry_run=true&wait=20", json=said)
    assert tried.status_code == 200, tried.text
    trial = tried.json()
    assert (trial["dry_run"], trial["outcome"], trial["revision"]) == (True, "accepted", 1)
    assert [warning["code"] for warning in trial["warnings"]] == ["opening_clamped"]
    event = {"specversion": "1.0", "id": "dry", "source": "/labs/lab-a", "type": "herald.release.announced.v1"}
    content = json.dumps(event | {"data": said})
    same = await door.post("lab-a", "/v1/events?dry_run=true", content=content, headers=CLOUD_EVENT)
    assert same.json()["would_tell"][0]["agency"] == "agency-a"
    secret = said | {"early_access": {"opens": "P14D", "access": {"how": "password: hunter2!secret"}}}
    refused = await door.post("lab-a", "/v1/releases?dry_run=true", json=secret)
    assert (refused.status_code, refused.json()["reasons"][0]["code"]) == (422, "secret_in_access")
    missing = await door.post("lab-a", "/v1/releases?dry_run=true", json={"reference": "tried"})
    assert missing.status_code == 422
    assert await written() == before
    entries = (await audited(door))[asked:]
    assert [(one["action"], one["release_ids"]) for one in entries] == [("release.try", [trial["release_id"]])] * 3

    receipt = (await door.post("lab-a", "/v1/releases?wait=20", json=said)).json()["data"]
    assert {name: receipt[name] for name in ("release_id", "revision", "life", "warnings", "window")} == {
        name: trial[name] for name in ("release_id", "revision", "life", "warnings", "window")
    }
    now = {(one["agency"], one["kind"], one["why"]) for one in trial["would_tell"] if one["kind"] == "scheduled"}
    path = f"/v1/releases/{trial['release_id']}"
    for _ in range(200):
        view = (await door.get("lab-a", path)).json()
        disclosures = [one["data"] for one in view["disclosures"]]
        if len(disclosures) == len(now) and view["window"] is not None:
            break
        await asyncio.sleep(0.05)
    assert {(one["agency"], one["kind"], one["why"]) for one in disclosures} == now
    assert len(now) == 2
    withdrawal = (await door.post("lab-a", f"{path}/withdrawal?dry_run=true")).json()
    assert {(one["agency"], one["kind"]) for one in withdrawal["would_tell"]} == {
        ("agency-a", "withdrawn"),
        ("agency-b", "withdrawn"),
    }
    assert (await door.get("lab-a", path)).json()["withdrawn"] is False
    assert (await door.post("lab-b", f"{path}/withdrawal?dry_run=true")).status_code == 404


async def test_a_lab_sees_the_answers_of_the_agencies_that_share_them_and_of_no_other(door: Door) -> None:
    audience = {"mode": "listed", "agencies": list(AGENCIES)}
    release_id = await announced(door, "answered", audience=audience)
    for agency, disposition in (("agency-a", "participating"), ("agency-b", "declined")):
        alert = await told(door, agency, release_id)
        path = f"/v1/alerts/{alert['id']}/acknowledgement?wait=20"
        said = {"disposition": disposition, "by": "a certain person"}
        assert (await door.post(agency, path, json=said)).status_code == 200

    async def seen() -> dict[str, Any]:
        found = await door.get("lab-a", f"/v1/releases/{release_id}")
        assert "a certain person" not in found.text
        return dict(found.json())

    async def shared_by(*agencies: str) -> list[tuple[str, str, int]]:
        """What is shown once this is what the registry says."""
        before = await in_force(door.deployment.connection)
        changed = {
            name: agency.model_copy(update={"shares_answers": name in agencies})
            for name, agency in before.agencies.items()
        }
        after = before.model_copy(update={"version": before.version + 1, "agencies": changed})
        await publish(door.deployment.connection, after, datetime.now(UTC))
        for _ in range(200):
            answers = (await seen())["answers"]
            if {one["agency"] for one in answers} == {*agencies} & {"agency-a", "agency-b"}:
                return [(one["agency"], one["disposition"], one["life"]) for one in answers]
            await asyncio.sleep(0.05)
        raise AssertionError(answers)

    assert (await seen())["answers"] == []  # unless an agency agrees, nothing of it
    assert await shared_by("agency-a", "agency-c") == [("agency-a", "participating", 1)]
    assert await shared_by("agency-a", "agency-b") == [("agency-a", "participating", 1), ("agency-b", "declined", 1)]
    assert (await door.get("lab-b", f"/v1/releases/{release_id}")).status_code == 404
    assert "answers" not in (await door.get("agency-a", "/v1/windows")).text
    assert await shared_by() == []
