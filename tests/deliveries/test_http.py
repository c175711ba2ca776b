"""What comes of a POST to servers that behave, and to servers that do not."""

import asyncio
import resource
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from schemas.address import is_allowed
from schemas.delivery import Failure
from services.deliveries.http import BODY_BYTES, Client
from services.deliveries.letter import Attempt
from tests.deliveries.servers import (
    Conversation,
    Handler,
    Server,
    answering,
    flooding,
    hanging,
    resetting,
    saying,
    serving,
    trickling,
)

LOOPBACK = ("127.0.0.0/8",)
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """As in operation, but for loopback and a clock that stands."""
    opened = Client(LOOPBACK, now=lambda: NOW)
    yield opened
    await opened.aclose()


@pytest.fixture
async def hasty() -> AsyncIterator[Client]:
    """One that waits for a third of a second."""
    opened = Client(LOOPBACK, connect_seconds=0.3, attempt_seconds=0.3)
    yield opened
    await opened.aclose()


async def post(client: Client, url: str) -> Attempt:
    return await client.post(url, {"x-token": "key-4711-key"}, b"{}", private=lambda: ["key-4711-key", "/hook"])


async def asked(client: Client, handler: Handler) -> tuple[Attempt, Server]:
    """One POST to a server that does so."""
    async with serving(handler) as server:
        return await post(client, server.url()), server


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (200, None),
        (202, None),
        (204, None),
        (300, "redirected"),
        (304, "redirected"),
        (400, "refused"),
        (401, "refused"),
        (403, "refused"),
        (404, "refused"),
        (408, "server-error"),
        (410, "gone"),
        (413, "refused"),
        (425, "server-error"),
        (429, "throttled"),
        (500, "server-error"),
        (502, "server-error"),
        (503, "server-error"),
        (504, "server-error"),
        (600, "protocol"),
    ],
)
async def test_a_status_means_what_its_class_says(client: Client, status: int, failure: Failure | None) -> None:
    attempt, server = await asked(client, answering(status))
    assert (attempt.failure, attempt.answer) == (failure, f"HTTP {status}")
    assert len(server.got) == 1


async def test_a_redirect_to_an_internal_address_is_not_followed(client: Client) -> None:
    async with serving(answering(200)) as internal:
        moved = answering(301, b"", "text/plain", f"Location: {internal.url('/latest/meta-data')}")
        attempt, _ = await asked(client, moved)
        assert attempt.failure == "redirected"
        assert internal.connections == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("86400", 86400.0),
        ("86401", 86400.0),
        ("9" * 5000, 86400.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("١٢", None),
        ("", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), 86400.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), None),
        ("Mon, 99 Foo 2027 00:00:00 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept_in_both_forms_with_a_cap_and_rubbish_is_not(
    client: Client, status: int, value: str, seconds: float | None
) -> None:
    header = f"Retry-After: {value}".encode()
    attempt, _ = await asked(client, saying(b"HTTP/1.1 %d Wait\r\n%b\r\nContent-Length: 0\r\n\r\n" % (status, header)))
    assert attempt.failure == ("throttled" if status == 429 else "server-error")
    assert attempt.retry_after == seconds


async def test_a_server_that_hangs_ends_in_a_timeout_and_the_connection_is_closed(hasty: Client) -> None:
    async with serving(hanging) as server:
        attempt = await post(hasty, server.url())
        assert (attempt.failure, attempt.answer) == ("timeout", "no answer in time")
        await server.is_left()


async def test_headers_that_trickle_end_at_the_deadline_though_something_comes_all_the_time(hasty: Client) -> None:
    attempt, _ = await asked(hasty, trickling(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n"))
    assert attempt.failure in {"timeout", "protocol"}  # protocol: more fields than anybody takes


async def test_interim_answers_without_end_end_at_the_deadline(hasty: Client) -> None:
    attempt, _ = await asked(hasty, trickling(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"))
    assert attempt.failure == "timeout"


async def test_a_status_counts_though_its_body_trickles_without_end(hasty: Client) -> None:
    for status, failure in ((200, None), (500, "server-error")):
        head = b"HTTP/1.1 %d Said\r\nContent-Length: 1000000\r\n\r\n" % status
        async with serving(trickling(head, b"x")) as server:
            assert (await post(hasty, server.url())).failure == failure
            await server.is_left()


async def test_a_status_counts_though_its_body_breaks_off(client: Client) -> None:
    attempt, _ = await asked(client, saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort"))
    assert attempt.failure is None


async def test_a_server_that_resets_is_unreachable(client: Client) -> None:
    attempt, _ = await asked(client, resetting)
    assert attempt.failure == "unreachable"


async def test_a_server_that_closes_without_a_word_is_unreachable(client: Client) -> None:
    attempt, _ = await asked(client, saying(b""))
    assert (attempt.failure, attempt.answer) == ("unreachable", "the connection was closed without an answer")


async def test_a_port_where_nobody_listens_is_unreachable(client: Client) -> None:
    async with serving(hanging) as server:
        pass
    attempt = await post(client, server.url())
    assert (attempt.failure, attempt.answer) == ("unreachable", "no connection: Connection refused")


async def test_a_host_that_does_not_exist_is_unreachable(client: Client) -> None:
    attempt = await post(client, "https://nobody.invalid/hook")
    assert attempt.failure == "unreachable"
    assert "nobody" not in (attempt.answer or "")


@pytest.mark.parametrize(
    "rubbish",
    [b"SSH-2.0-OpenSSH_9.9\r\n\r\n", b"\x00\xff" * 40, b"HTTP/1.1 twohundred\r\n\r\n", b"X" * 200_000],
    ids=["ssh", "bytes", "no-status", "endless-line"],
)
async def test_rubbish_instead_of_http_is_a_failure_of_protocol(client: Client, rubbish: bytes) -> None:
    attempt, _ = await asked(client, saying(rubbish))
    assert attempt.failure == "protocol"


async def test_more_header_fields_than_anybody_takes_are_a_failure_of_protocol(client: Client) -> None:
    attempt, _ = await asked(client, flooding(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 1000 + b"\r\n", 1000))
    assert attempt.failure == "protocol"


async def test_a_body_of_a_gigabyte_is_left_after_16_kib_and_memory_stays_flat(client: Client) -> None:
    sent = 0

    async def gigabyte(conversation: Conversation) -> None:
        nonlocal sent
        await conversation.request()
        await conversation.say(b"HTTP/1.1 500 Said\r\nContent-Type: text/plain\r\nContent-Length: 1073741824\r\n\r\n")
        chunk = b"x" * 65536
        while sent < 2**30:
            await conversation.say(chunk)
            sent += len(chunk)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with serving(gigabyte) as server:
        attempt = await post(client, server.url())
        assert attempt.failure == "server-error"
        await server.is_left()
    assert sent < 2**25  # what the system's buffers hold, which nobody has read
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # in KiB


async def test_a_compressed_body_is_neither_asked_for_nor_unpacked(client: Client) -> None:
    packed = b"\x1f\x8b" + bytes(range(200))
    handler = answering(500, packed, "text/plain", "Content-Encoding: gzip")
    attempt, server = await asked(client, handler)
    assert server.got[0].headers["accept-encoding"] == "identity"
    assert attempt.failure == "server-error"


async def test_connections_are_kept_for_the_next_post_and_one_that_was_not_read_out_is_not(client: Client) -> None:
    async with serving(answering(200, b"ok")) as server:
        for _ in range(3):
            await post(client, server.url())
        assert server.connections == 1
    async with serving(answering(200, b"x" * (BODY_BYTES + 1))) as server:
        for _ in range(3):
            await post(client, server.url())
        assert server.connections == 3


async def test_a_server_that_closes_its_idle_connections_is_connected_to_anew(client: Client) -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as server:
        assert [(await post(client, server.url())).failure for _ in range(3)] == [None] * 3
        assert server.connections == 3


async def test_no_cookie_comes_back(client: Client) -> None:
    async with serving(answering(200, b"ok", "text/plain", "Set-Cookie: seen=1")) as server:
        for _ in range(2):
            await post(client, server.url())
        assert all("cookie" not in got.headers for got in server.got)


async def test_a_server_that_is_posted_to_from_many_sides_at_once_is_connected_to_once_for_each(client: Client) -> None:
    async with serving(answering(200)) as server:
        for _ in range(3):
            await asyncio.gather(*(post(client, server.url()) for _ in range(20)))
        assert server.connections == 20


async def test_servers_that_were_not_used_for_longest_lose_their_idle_connections(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.deliveries.connections.MOST", 2)
    async with serving(answering(200)) as first, serving(answering(200)) as second, serving(answering(200)) as third:
        for server in (first, second, third):
            await post(client, server.url())
        await first.is_left()
        assert (first.open_now, second.open_now, third.open_now) == (0, 1, 1)


async def test_what_was_idle_for_long_is_closed_when_another_server_is_posted_to(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answering(200)) as first, serving(answering(200)) as second:
        await asyncio.gather(*(post(client, first.url()) for _ in range(3)))
        assert first.open_now == 3
        monkeypatch.setattr("services.deliveries.connections.KEPT_SECONDS", 0.0)
        await post(client, second.url())
        await first.is_left()


async def test_no_more_attempts_run_at_once_than_there_are_slots(client: Client) -> None:
    client._slots = asyncio.Semaphore(2)
    now, most = 0, 0

    async def counting(conversation: Conversation) -> None:
        nonlocal now, most
        while await conversation.request() is not None:
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1
            await conversation.say(b"HTTP/1.1 204 Taken\r\n\r\n")

    async with serving(counting) as server:
        attempts = await asyncio.gather(*(post(client, server.url()) for _ in range(8)))
    assert {attempt.failure for attempt in attempts} == {None}
    assert most == 2


async def test_the_time_of_an_attempt_that_waits_for_a_slot_does_not_run(hasty: Client) -> None:
    hasty._slots = asyncio.Semaphore(1)
    async with serving(hanging) as server, serving(answering(200)) as other:
        attempts = await asyncio.gather(*(post(hasty, server.url()) for _ in range(2)), post(hasty, other.url()))
    assert [attempt.failure for attempt in attempts] == ["timeout", "timeout", None]


async def test_an_attempt_that_is_given_up_leaves_no_connection_behind(client: Client) -> None:
    async with serving(hanging) as server:
        task = asyncio.create_task(post(client, server.url()))
        async with server.changed:
            await server.changed.wait_for(lambda: server.open_now == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.is_left()


async def test_a_loopback_address_is_not_connected_to_where_it_is_not_allowed() -> None:
    stranger = Client()
    async with serving(answering(200)) as server:
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]"):
            attempt = await post(stranger, server.url(host=host))
            # httpx takes some of the odder forms for no address at all.
            assert attempt.failure in {"forbidden-address", "misconfigured"}, host
        assert server.connections == 0
    await stranger.aclose()


async def test_plain_http_is_spoken_with_named_networks_only(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public address is made of loopback: only the guard's own rule is widened."""
    monkeypatch.setattr("schemas.address._is_public", lambda address: True)
    assert is_allowed("127.0.0.1", ())
    public = Client(("10.0.0.0/8",))
    async with serving(answering(200)) as server:
        attempt = await post(public, server.url())
        assert attempt.failure == "forbidden-address"
        assert "use https://" in (attempt.answer or "")
        assert server.got == []
        assert (await post(client, server.url())).failure is None
    await public.aclose()


async def test_proxies_of_the_environment_are_not_used(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(200)) as proxy, serving(answering(200)) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        opened = Client(LOOPBACK)
        for each in (client, opened):
            assert (await post(each, server.url())).failure is None
        await opened.aclose()
        assert (proxy.connections, len(server.got)) == (0, 2)


@pytest.mark.parametrize("url", ["https://127.0.0.1:99999/x", "https://[::1/x", f"https://{'a' * 70}.example/x"])
async def test_an_address_that_none_can_be_is_no_reason_to_break(client: Client, url: str) -> None:
    assert (await post(client, url)).failure in {"misconfigured", "unreachable"}


async def test_the_answer_is_one_printable_line_with_a_little_of_the_body(client: Client) -> None:
    attempt, _ = await asked(client, answering(400, "no\r\nsuch\x1b[31m \u202eevent\u2066 type".encode()))
    assert attempt.answer == "HTTP 400: no such [31m event type"
    attempt, _ = await asked(client, answering(400, b"x1 " * 5000))
    assert attempt.answer is not None
    assert len(attempt.answer) <= 200


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"bad token key-4711-key", "text/plain"),
        (b'{"bad": "KEY\\u002d4711-key"}', "application/json"),
        (b"nothing at /hook", "text/plain"),
        (b"see http://127.0.0.1/hook", "text/plain"),
        (b"<html>page</html>", "text/html"),
        (b"\x00\x01\x02", "application/octet-stream"),
        (b"", "text/plain"),
    ],
)
async def test_the_answer_repeats_nothing_of_the_body_that_may_be_private(
    client: Client, body: bytes, content_type: str
) -> None:
    attempt, _ = await asked(client, answering(400, body, content_type))
    assert attempt.answer == "HTTP 400"
