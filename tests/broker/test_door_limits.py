"""What the door holds everybody to: strict to browsers, bounded in all that can be held open, and it ends properly."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.embedded.ports import free
from services.kernel.credential_log import issue
from tests.broker.deployment import Deployment
from tests.broker.doorway import DAY, Door
from tests.broker.flow import registry, release

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
MOST_OPEN = 4


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A door, and the service that takes what it writes; no more is needed here."""
    folder, port = tmp_path_factory.mktemp("limits"), free()
    env = {"HERALD_DOOR__PORT": str(port), "HERALD_DATA": str(folder / "data"), "HERALD_DOOR__BURST": "2000"}
    env |= {"HERALD_DOOR__OPEN_REQUESTS": str(MOST_OPEN)}
    deployment = Deployment(kafka, "limits.", folder, partitions=2, env=env)
    try:
        await deployment.prepare(registry())
        *_, process = deployment.start("gateway", "gateway.door")
        now = datetime.now(UTC)
        tokens = {who: await issue(deployment.connection, who, "a test", DAY, now) for who in ("lab-a", "agency-a")}
        await deployment.ready()
        yield Door(deployment, process, f"http://127.0.0.1:{port}", tokens)
    finally:
        deployment.stop()


async def test_no_page_of_another_origin_gets_anything_and_every_answer_is_strict(door: Door) -> None:
    elsewhere = {"Origin": "https://elsewhere.example"}
    preflight = elsewhere | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    calls: list[tuple[int, str | None, str, str, dict[str, Any]]] = [
        (405, None, "OPTIONS", "/v1/releases", {"headers": preflight}),
        (405, "lab-a", "OPTIONS", "/v1/releases", {"headers": preflight}),
        (200, "agency-a", "GET", "/v1/alerts", {"headers": elsewhere}),
        (202, "lab-a", "POST", "/v1/releases", {"json": release("origin"), "headers": elsewhere}),
        (401, None, "GET", "/v1/alerts", {"headers": elsewhere}),
        (403, "lab-a", "GET", "/v1/alerts", {}),
        (404, None, "GET", "/nowhere", {}),
        (405, "lab-a", "DELETE", "/v1/releases", {}),
        (413, "lab-a", "POST", "/v1/releases", {"content": b"x" * 400_000, "headers": {"Content-Type": "text/plain"}}),
        (422, "agency-a", "GET", "/v1/alerts?limit=0", {}),
    ]
    for status, who, method, path, more in calls:
        async with door.client(who) as client:
            found = await client.request(method, path, **more)
        if status == 413:
            assert found.status_code in {413, 415}  # whichever it sees first
        else:
            assert found.status_code == status, (method, path, found.text)
        _is_strict(found.headers)
        if not found.is_success:
            assert found.headers["content-type"] == "application/problem+json"
    async with door.client("agency-a") as client, client.stream("GET", "/v1/alerts/stream") as found:
        _is_strict(found.headers)


def _is_strict(headers: httpx.Headers) -> None:
    assert not [name for name in headers if name.startswith("access-control-")]
    assert "server" not in headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/v1/releases", "application/json", 202),
        ("/v1/releases", "Application/JSON; charset=UTF-8", 202),
        ("/v1/releases", "application/json; charset=utf-16", 415),
        ("/v1/releases", "application/cloudevents+json", 415),
        ("/v1/releases", "application/jsonp", 415),
        ("/v1/releases", "text/plain", 415),
        ("/v1/releases", "application/x-www-form-urlencoded", 415),
        ("/v1/releases", "multipart/form-data; boundary=application/json", 415),
        ("/v1/releases", "", 415),
        ("/v1/events", "application/json", 415),
    ],
)
async def test_only_the_content_type_of_the_route_is_taken(door: Door, path: str, kind: str, status: int) -> None:
    said = json.dumps(release("typed")).encode()
    found = await door.post("lab-a", path, content=said, headers={"Content-Type": kind} if kind else {})
    assert found.status_code == status, found.text


async def test_an_idempotency_key_that_was_used_for_something_else_is_refused(door: Door) -> None:
    key = {"Idempotency-Key": "used-twice"}
    first = await door.post("lab-a", "/v1/releases", json=release("keyed"), headers=key)
    other = await door.post("lab-a", "/v1/releases?wait=20", json=release("keyed-otherwise"), headers=key)
    assert first.status_code == 202
    assert (other.status_code, other.json()["reasons"][0]["code"]) == (409, "id_reused")
    for bad in ("", "x" * 201):
        found = await door.post("lab-a", "/v1/releases", json=release("keyed"), headers={"Idempotency-Key": bad})
        assert (found.status_code, found.json()["reasons"][0]["field"]) == (422, "Idempotency-Key")


async def test_one_identity_holds_so_many_requests_open_and_keeps_nobody_else_out(door: Door) -> None:
    async with door.client("agency-a") as client, AsyncExitStack() as streams:
        opened = [await streams.enter_async_context(client.stream("GET", "/v1/alerts/stream")) for _ in "12"]
        polls = [asyncio.create_task(_hold(client)) for _ in range(MOST_OPEN - len(opened))]
        try:
            await _becomes(client, 429)
            refused = await client.get("/v1/alerts/stream")
            assert (refused.status_code, refused.json()["type"]) == (429, "urn:herald:problem:too_many_open")
            assert int(refused.headers["Retry-After"]) > 0
            assert (await door.get("lab-a", "/v1/receipts/none")).status_code == 404
            await opened[0].aclose()
            await _becomes(client, 200)  # one that hangs up makes room
        finally:
            for poll in polls:
                poll.cancel()
            await asyncio.gather(*polls, return_exceptions=True)


async def _hold(client: httpx.AsyncClient) -> None:
    """A long poll, which may find everything taken at first."""
    while (await client.get("/v1/alerts?wait=30")).status_code == 429:
        await asyncio.sleep(0.05)


async def _becomes(client: httpx.AsyncClient, status: int) -> None:
    for _ in range(200):
        if (found := (await client.get("/v1/alerts")).status_code) == status:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def test_who_does_not_finish_what_it_says_is_not_waited_for(door: Door) -> None:
    head = f"POST /v1/releases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.tokens['lab-a']}\r\n"
    body = f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    silent, slow_head, slow_body = await asyncio.gather(_answer(door, ""), _answer(door, head), _answer(door, body))
    assert (silent, slow_head) == (b"", b"")  # hung up on
    assert slow_body.startswith(b"HTTP/1.1 408 ")


async def _answer(door: Door, said: str) -> bytes:
    """What comes back until the door hangs up, or has answered."""
    host, _, port = door.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(said.encode())
    try:
        async with asyncio.timeout(60):
            return await reader.readline() if "\r\n\r\n" in said else await reader.read()
    finally:
        writer.close()


async def test_told_to_stop_it_ends_every_open_request_properly_and_itself(door: Door) -> None:
    async with door.client("agency-a") as agency, door.client("lab-a") as lab:
        async with agency.stream("GET", "/v1/alerts/stream") as stream:
            poll = asyncio.create_task(agency.get("/v1/alerts?wait=30"))
            receipt = asyncio.create_task(lab.get("/v1/receipts/none?wait=30"))
            said = json.dumps(release("at-the-end")).encode()
            spoken = asyncio.create_task(
                lab.post("/v1/releases?wait=30", content=said, headers={"Content-Type": "application/json"})
            )
            while not await _has(door, "at-the-end"):
                await asyncio.sleep(0.05)
            door.process.signal(signal.SIGTERM)
            lines = [line async for line in stream.aiter_lines()]
        assert lines == [": herald", "", *lines[2:]]  # whole, to its end: nothing was cut off
        assert (await poll).json() == {"alerts": [], "cursor": None, "more": False}
        assert (await receipt).status_code == 404
        assert (await spoken).status_code == 202  # Kafka has it; its receipt will follow
    assert await asyncio.to_thread(door.process.popen.wait, 30) == 0
    with pytest.raises(httpx.ConnectError):
        await door.get("lab-a", "/v1/receipts/none")


async def _has(door: Door, text: str) -> bool:
    return any(text.encode() in record.value for record in await door.deployment.read("releases.lab-a"))
