"""The HTTP door on a real Kafka: labs speak, agencies read and answer, and nobody sees what is not theirs."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml

from schemas.envelope import encode
from schemas.heartbeat import HeartbeatBeat
from services.embedded.ports import free
from services.kernel.credential_log import Token, issue, issued, revoke
from tests.broker.deployment import Deployment
from tests.broker.doorway import DAY, Door, opened
from tests.broker.flow import AGENCIES, registry, release
from tests.broker.test_embedded import herald

ASKING = "/v1/alerts/stream?heartbeat=true"
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """One deployment for the tests of this file."""
    folder = tmp_path_factory.mktemp("door")
    async with opened(kafka, "door.", folder, registry(), ("lab-a", "lab-b", *AGENCIES)) as door:
        yield door


async def announced(door: Door, reference: str, **changes: Any) -> str:
    """Announces a release of lab-a, and returns its id once its three agencies were told."""
    answer = await door.post("lab-a", "/v1/releases?wait=20", json=release(reference, **changes))
    assert answer.status_code == 200, answer.text
    release_id: str = answer.json()["data"]["release_id"]
    for _ in range(1200):
        if len((await door.get("lab-a", f"/v1/releases/{release_id}")).json()["disclosures"]) == len(AGENCIES):
            return release_id
        await asyncio.sleep(0.05)
    raise AssertionError("nobody was told")


async def told(door: Door, agency: str, release_id: str) -> dict[str, Any]:
    """The first alert of a release to an agency."""
    for _ in range(1200):
        page = (await door.get(agency, "/v1/alerts?limit=1000")).json()
        for one in page["alerts"]:
            if one["data"]["release_id"] == release_id:
                return dict(one)
        await asyncio.sleep(0.05)
    raise AssertionError(page)


async def test_what_was_accepted_can_be_looked_at_at_once(door: Door) -> None:
    for turn in range(10):
        answer = await door.post("lab-a", "/v1/releases?wait=20", json=release("at-once", handling=f"turn {turn}"))
        found = await door.get("lab-a", f"/v1/releases/{answer.json()['data']['release_id']}")
        assert found.json()["announcement"]["statement"]["handling"] == f"turn {turn}"


async def test_a_lab_announces_looks_and_withdraws_without_knowing_kafka(door: Door) -> None:
    answer = await door.post("lab-a", "/v1/releases", json=release("plain"), headers={"Idempotency-Key": "plain-1"})
    assert answer.status_code == 202
    url = answer.headers["Location"]
    receipt = await door.get("lab-a", f"{url}&wait=20")
    assert receipt.json()["type"] == "herald.receipt.accepted.v1"
    again = await door.post(
        "lab-a", "/v1/releases?wait=20", json=release("plain"), headers={"Idempotency-Key": "plain-1"}
    )
    assert again.json() == receipt.json()
    unchanged = await door.post("lab-a", "/v1/releases?wait=20", json=release("plain"))
    assert unchanged.json()["type"] == "herald.receipt.unchanged.v1"
    release_id = receipt.json()["data"]["release_id"]
    withdrawn = await door.post("lab-a", f"/v1/releases/{release_id}/withdrawal?wait=20")
    assert withdrawn.json()["type"] == "herald.receipt.accepted.v1"
    seen = (await door.get("lab-a", f"/v1/releases/{release_id}")).json()
    assert seen["withdrawn"]
    assert seen["announcement"]["statement"]["reference"] == "plain"
    assert [one["type"].split(".")[2] for one in seen["receipts"]].count("accepted") >= 2


async def test_a_refusal_names_field_rule_and_remedy_and_nothing_is_written(door: Door) -> None:
    before = len(await door.deployment.read("releases.lab-a"))
    bad = release("bad", trusted_partner_release_at="tomorrow")
    for body, media, status, code in (
        (json.dumps(bad), "application/json", 422, "invalid"),
        ("{", "application/json", 400, "not_json"),
        ('{"a": 1, "a": 2}', "application/json", 400, "not_json"),
        ("[" * 100_000, "application/json", 400, "not_json"),
        ('{"a": "\\ud800"}', "application/json", 400, "not_json"),
        ('"a"', "application/json", 400, "not_an_event"),
        ("x" * 400_000, "application/json", 413, "too_large"),
        (json.dumps(release("bad", handling="ü" * 200_000), ensure_ascii=False), "application/json", 413, "too_large"),
        (json.dumps(release("bad", handling="ü" * 100_000), ensure_ascii=False), "application/json", 422, "invalid"),
        (json.dumps(bad), "text/plain", 415, "unsupported_media_type"),
    ):
        answer = await door.post("lab-a", "/v1/releases", content=body, headers={"Content-Type": media})
        assert answer.status_code == status, (body[:40], answer.text)
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["type"] == f"urn:herald:problem:{code}"
        assert problem["request_id"] == answer.headers["x-request-id"]
    assert len(await door.deployment.read("releases.lab-a")) == before
    refused = await door.post("lab-a", "/v1/releases?wait=20", json=bad)
    assert "RFC 3339" in refused.json()["reasons"][0]["message"]
    secret = {"opens": "P14D", "access": {"how": "password: hunter2!secret"}}
    decided = await door.post("lab-a", "/v1/releases?wait=20", json=release("secret", early_access=secret))
    assert decided.status_code == 422
    assert decided.json()["reasons"][0]["code"] == "secret_in_access"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/alerts?after=99999999999999999999", "after"),
        ("/v1/alerts?limit=0", "limit"),
        ("/v1/alerts?since=yesterday", "since"),
        ("/v1/alerts?wait=31", "wait"),
        ("/v1/receipts/%00", "event_id"),
        ("/v1/receipts/none?from=99999999999999999999", "from"),
    ],
)
async def test_a_parameter_that_does_not_fit_is_named(door: Door, path: str, field: str) -> None:
    answer = await door.get("agency-a", path)
    assert (answer.status_code, answer.json()["reasons"][0]["field"]) == (422, field)


async def test_an_event_id_of_any_printable_kind_leads_to_its_receipt(door: Door) -> None:
    key = {"Idempotency-Key": "a/b?c#d e%2F"}
    pending = await door.post("lab-a", "/v1/releases", json=release("odd-id"), headers=key)
    found = await door.get("lab-a", pending.headers["Location"] + "&wait=20")
    assert found.json()["data"]["event_id"] == key["Idempotency-Key"]


async def test_a_cloud_event_is_taken_as_it_would_stand_in_kafka_but_never_for_somebody_else(door: Door) -> None:
    event = {"specversion": "1.0", "id": "ce-1", "source": "/labs/lab-a", "type": "herald.release.announced.v1"}
    media = {"Content-Type": "application/cloudevents+json"}
    said = json.dumps(event | {"data": release("cloud")})
    answer = await door.post("lab-a", "/v1/events?wait=20", content=said, headers=media)
    assert answer.json()["data"]["event_id"] == "ce-1"
    other = await door.post("lab-b", "/v1/events?wait=20", content=said, headers=media)
    assert other.status_code == 403
    assert other.json()["reasons"][0]["code"] == "wrong_origin"


async def test_an_agency_reads_by_page_and_cursor_waits_and_answers(door: Door) -> None:
    waiting = asyncio.create_task(_wait_for_news(door, "read"))
    release_id = await announced(door, "read")
    assert (await waiting)["data"]["release_id"] == release_id
    alert = await told(door, "agency-a", release_id)
    whole = (await door.get("agency-a", "/v1/alerts?limit=1000")).json()
    paged: list[Any] = []
    cursor, more = "-1", True
    while more:
        page = (await door.get("agency-a", f"/v1/alerts?limit=1&after={cursor}")).json()
        paged, cursor, more = paged + page["alerts"], page["cursor"], page["more"]
    assert paged == whole["alerts"]
    assert (await door.get("agency-a", f"/v1/alerts?after={cursor}")).json() == {
        "alerts": [],
        "cursor": cursor,
        "more": False,
    }
    path = f"/v1/alerts/{alert['id']}/acknowledgement?wait=20"
    early = await door.post("agency-a", path, json={"disposition": "finished"})
    assert (early.status_code, early.json()["reasons"][0]["code"]) == (409, "illegal_order")
    answer = await door.post("agency-a", path, json={"disposition": "participating", "by": "the watch"})
    assert (answer.status_code, answer.json()["data"]["disposition"]) == (200, "participating")
    free_text = await door.post("agency-a", path, json={"disposition": "received", "note": "looks dangerous"})
    assert free_text.status_code == 422
    known = (await door.get("agency-a", "/v1/windows")).json()["windows"]
    assert [one["id"] for one in known if one["data"]["release_id"] == release_id] == [alert["id"]]


async def _wait_for_news(door: Door, reference: str) -> dict[str, Any]:
    """Waits, page by page: earlier news may still be on their way."""
    cursor = (await door.get("agency-b", "/v1/alerts?limit=1000")).json()["cursor"] or "-1"
    while True:
        page = (await door.get("agency-b", f"/v1/alerts?after={cursor}&wait=30")).json()
        assert page["alerts"], "nothing came"
        for one in page["alerts"]:
            if one["data"]["content"]["reference"] == reference:
                return dict(one)
        cursor = page["cursor"]


async def test_a_token_that_is_wrong_expired_or_revoked_is_refused(door: Door) -> None:
    connection, now = door.deployment.connection, datetime.now(UTC)
    good = await issue(connection, "lab-b", "soon gone", DAY, now)
    expired = await issue(connection, "lab-b", "yesterday's", DAY, now - 2 * DAY)
    wrong = Token(good.token_id, expired.secret)

    async def status(token: str) -> int:
        async with httpx.AsyncClient(base_url=door.address, headers={"Authorization": f"Bearer {token}"}) as client:
            return (await client.get("/v1/receipts/none")).status_code

    async def becomes(token: Token, wanted: int) -> None:
        for _ in range(600):
            if await status(str(token)) == wanted:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(await status(str(token)))

    await becomes(good, 404)
    assert [await status(str(one)) for one in (expired, wrong)] == [401, 401]
    assert [await status(text) for text in ("herald_", "x", f"herald_{good.token_id}_", good.secret)] == [401] * 4
    streamed = await issue(connection, "agency-c", "a stream", DAY, now)
    await becomes(streamed, 404)
    async with door.client(None) as client:
        headers = {"Authorization": f"Bearer {streamed}"}
        async with client.stream("GET", "/v1/alerts/stream", headers=headers) as answer:
            assert answer.status_code == 200
            for one in (good, streamed):
                await revoke(connection, (await issued(connection))[one.token_id], now)
            async for _ in answer.aiter_lines():  # it ends with its token
                pass
    await becomes(good, 401)
    records = await door.deployment.read("credentials")
    assert not [record for record in records if good.secret.encode() in (record.value or b"")]
    assert good.secret not in door.process.log.read_text()


async def test_the_same_event_fifty_times_over_http_and_kafka_is_one_announcement_and_one_receipt(door: Door) -> None:
    event = {"specversion": "1.0", "id": "many-1", "source": "/labs/lab-b", "type": "herald.release.announced.v1"}
    said = json.dumps(event | {"data": release("many")}).encode()
    producer = door.deployment.connection.producer()
    await producer.start()
    async with door.client("lab-b") as client:
        media = {"Content-Type": "application/cloudevents+json"}
        posts = [client.post("/v1/events?wait=30", content=said, headers=media) for _ in range(25)]
        topic = door.deployment.connection.topic("releases.lab-b")
        sends = [producer.send_and_wait(topic, said) for _ in range(25)]
        answers = (await asyncio.gather(*posts, *sends))[:25]
    await producer.stop()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    announcements = await door.deployment.events("announcements", 2)
    references = [one["data"]["announcement"]["statement"]["reference"] for one in announcements]
    assert references.count("many") == 1


async def test_whatever_was_answered_with_2xx_is_in_kafka_though_the_door_is_killed_under_load(door: Door) -> None:
    taken: list[str] = []

    async def speak(number: int) -> None:
        async with door.client("lab-b") as client:
            for turn in range(50):
                event_id = f"load-{number}-{turn}"
                try:
                    said = release(f"load-{number}", handling=event_id)
                    answer = await client.post("/v1/releases", json=said, headers={"Idempotency-Key": event_id})
                except httpx.TransportError:
                    return
                assert answer.status_code == 202, answer.text
                taken.append(event_id)

    speaking = [asyncio.create_task(speak(number)) for number in range(4)]
    while len(taken) < 20:
        await asyncio.sleep(0.01)
    door.process.kill()
    await asyncio.gather(*speaking)
    await door.reopen()
    found = {json.loads(record.value).get("id") for record in await door.deployment.read("releases.lab-b")}
    assert 20 <= len(taken) < 200
    assert set(taken) <= found
    assert (await door.get("lab-b", f"/v1/receipts/{taken[-1]}?wait=20")).status_code == 200


async def test_a_stream_resumes_behind_the_last_event_through_kill_9_of_the_door(door: Door) -> None:
    ids = [await announced(door, f"stream-{n}") for n in range(2)]
    got = await _streamed(door, None, len(await door.deployment.read("alerts.agency-c")))
    door.process.kill()
    accepted = release("while-away")
    event = {"specversion": "1.0", "id": "away-1", "source": "/labs/lab-a", "type": "herald.release.announced.v1"}
    said = json.dumps(event | {"data": accepted})
    producer = door.deployment.connection.producer()
    await producer.start()
    await producer.send_and_wait(door.deployment.connection.topic("releases.lab-a"), said.encode())
    await producer.stop()
    await door.reopen()
    wanted = await door.deployment.settled("alerts.agency-c", len(got) + 1)
    got += await _streamed(door, got[-1][0], len(wanted) - len(got))
    assert [event_id for _, event_id in got] == [one["id"] for one in wanted]
    assert {one["data"]["release_id"] for one in wanted} >= set(ids)


async def test_a_stream_has_heartbeats_for_whoever_asks_the_last_one_at_once(door: Door) -> None:
    connection, now = door.deployment.connection, datetime.now(UTC)
    producer = connection.producer()
    await producer.start()

    async def beat(number: int) -> str:
        data = HeartbeatBeat(beat_at=now + timedelta(minutes=number), next_by=now + timedelta(minutes=number + 3))
        event = data.stamped(cause=str(number), ordinal=0, source="/services/watchdog", time=now)
        await producer.send_and_wait(connection.topic("heartbeat"), encode(event), partition=0)
        return encode(event).decode()

    async def heartbeats(found: httpx.Response) -> AsyncIterator[str]:
        lines: list[str] = []
        async for line in found.aiter_lines():
            lines.append(line)
            if line.startswith("data: ") and lines[-2] == f"event: {HeartbeatBeat.type}":
                assert not lines[-3].startswith("id:")
                yield line.removeprefix("data: ")

    await beat(1)
    last = await beat(2)
    alerts = len(await door.deployment.read("alerts.agency-c"))
    try:
        async with door.client("agency-c") as client, client.stream("GET", ASKING) as answer:
            coming = heartbeats(answer)
            while await anext(coming) != last:
                pass
            following = await beat(3)
            assert await anext(coming) == following
    finally:
        await producer.stop()
    assert [event for _, event in await _streamed(door, None, alerts) if event == json.loads(following)["id"]] == []


async def _streamed(door: Door, after: str | None, count: int) -> list[tuple[str, str]]:
    """So many events of agency-c's stream, as (cursor, event id)."""
    found: list[tuple[str, str]] = []
    headers = {"Last-Event-ID": after} if after else {}
    async with door.client("agency-c") as client, client.stream("GET", "/v1/alerts/stream", headers=headers) as answer:
        cursor = ""
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                cursor = line[4:]
            elif line.startswith("data: "):
                found.append((cursor, json.loads(line[6:])["id"]))
            if len(found) == count:
                break
    return found


async def test_every_example_of_the_page_for_labs_does_what_it_says(door: Door, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "for-labs.md").read_text()
    (said,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "release.yaml").write_text(said)
    (tmp_path / "release.json").write_text(json.dumps(yaml.safe_load(said), default=lambda at: at.isoformat()))
    (tmp_path / "token").write_text(f"{door.tokens['lab-a']}\n")
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    text = "\n".join(block for block in blocks if "SASL" not in block).replace("\\\n", " ")
    connection = door.deployment.connection.settings
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CI_COMMIT_SHA": "5f0c1d2e",
        "HERALD_KAFKA__BOOTSTRAP_SERVERS": connection.bootstrap_servers,
        "HERALD_KAFKA__TOPIC_PREFIX": connection.topic_prefix,
    }
    printed = []
    here = text.replace("aurora-labs", "lab-a").replace("https://herald.example", door.address)
    for line in filter(None, here.splitlines()):
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_shell(line, cwd=tmp_path, env=env, stdout=pipe, stderr=pipe)
        out, errors = await process.communicate()
        assert process.returncode == 0, (line, errors)
        printed.append(out.decode())
    expected = ("accepted", "unchanged", "accepted", "halo-4", "accepted", "herald.receipt.unchanged.v1")
    assert [word in out for word, out in zip(expected, printed, strict=True)] == [True] * len(expected), printed


async def test_the_command_line_announces_through_the_door_and_a_ci_never_waits_on_herald(
    door: Door, tmp_path: Path
) -> None:
    file = tmp_path / "release.yaml"
    file.write_text(yaml.safe_dump(release("by-hand")))
    token = tmp_path / "token"
    token.write_text(f"{door.tokens['lab-a']}\n")

    async def announce(*more: str, file: Path = file, **env: str) -> subprocess.CompletedProcess[str]:
        named = {"HERALD_API": door.address, "HERALD_TOKEN_FILE": str(token), "HERALD_LAB": "lab-a"} | env
        return await asyncio.to_thread(lambda: herald("announce", str(file), *more, **named))

    done = await announce()
    assert (done.returncode, "lab-a/by-hand: accepted" in done.stdout) == (0, True), done
    bad = tmp_path / "bad.yaml"
    access = {"opens": "P14D", "access": {"how": "password: hunter2!secret"}}
    bad.write_text(yaml.safe_dump(release("by-hand-2", early_access=access)))
    refused = await announce(file=bad)
    assert (refused.returncode, "secret_in_access" in refused.stdout) == (3, True), refused
    assert (await announce("--no-fail", file=bad)).returncode == 0
    hanging = await asyncio.start_server(lambda reader, writer: asyncio.sleep(3600), "127.0.0.1", 0)
    slow = f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}"
    for api, said in ((slow, "no answer"), (f"http://127.0.0.1:{free()}", "could not be reached")):
        none = await announce("--timeout", "2", HERALD_API=api)
        assert (none.returncode, said in none.stdout) == (4, True), none
        assert (await announce("--timeout", "2", "--no-fail", HERALD_API=api)).returncode == 0
    hanging.close()
    plain = await announce(HERALD_API="http://herald.example")
    assert (plain.returncode, "use https" in plain.stderr) == (2, True), plain


async def test_a_read_model_that_is_emptied_under_a_running_door_is_made_anew(door: Door) -> None:
    release_id = await announced(door, "rebuilt")
    await told(door, "agency-a", release_id)
    before = (await door.get("agency-a", "/v1/alerts?limit=1000")).json()
    data = door.deployment.env["HERALD_DATA"]
    done = await asyncio.to_thread(lambda: herald("read-model", "rebuild", "--yes", HERALD_DATA=data))
    assert done.returncode == 0, done
    await announced(door, "after-the-rebuild")  # something new to project shows that what was there is gone
    alerts: list[Any] = []
    while len(alerts) <= len(before["alerts"]):
        alerts = (await door.get("agency-a", "/v1/alerts?limit=1000")).json()["alerts"]
    assert alerts[: len(before["alerts"])] == before["alerts"]


async def test_too_many_requests_are_told_when_to_come_again(door: Door, tmp_path: Path) -> None:
    port = free()
    env = {**door.deployment.env, "HERALD_DOOR__PORT": str(port), "HERALD_DATA": str(tmp_path)}
    limited = {"HERALD_DOOR__BURST": "3", "HERALD_DOOR__REQUESTS_PER_SECOND": "0.01"}
    other = Deployment(door.deployment.bootstrap_servers, "door.", tmp_path, partitions=2, env=env | limited)
    try:
        (process,) = other.start("gateway.door")
        await other.ready(process)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            headers = {"Authorization": f"Bearer {door.tokens['lab-a']}"}
            answers = [await client.get("/v1/receipts/none", headers=headers) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [404, 404, 404, 429, 429]
        assert answers[0].headers["RateLimit"] == '"identity";r=2;t=0'
        assert int(answers[-1].headers["Retry-After"]) > 0
    finally:
        other.stop()


async def test_beyond_loopback_without_tls_it_refuses_to_start(door: Door, tmp_path: Path) -> None:
    env = {**door.deployment.env, "HERALD_DOOR__HOST": "192.0.2.1", "HERALD_DATA": str(tmp_path)}
    other = Deployment(door.deployment.bootstrap_servers, "door.", tmp_path, partitions=2, env=env)
    (process,) = other.start("gateway.door")
    assert await asyncio.to_thread(process.popen.wait, 30) == 2
    assert "HERALD_DOOR__BEHIND_PROXY" in process.log.read_text().splitlines()[-1]
