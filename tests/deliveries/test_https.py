"""TLS is verified always, and a server that asks is shown a certificate."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from schemas.endpoint import ClientCertificate
from services.deliveries.connections import MOST
from services.deliveries.http import Client
from services.deliveries.letter import Attempt
from tests.deliveries.certificates import DAY, Authority
from tests.deliveries.servers import Conversation, Server, answering, hanging, serving, strict


@asynccontextmanager
async def opened(seconds: float = 15.0) -> AsyncIterator[Client]:
    """A client for loopback, of the authorities that the system trusts now."""
    client = Client(("127.0.0.0/8",), attempt_seconds=seconds)
    yield client
    await client.aclose()


async def post(client: Client, server: Server, certificate: ClientCertificate | None = None) -> Attempt:
    return await client.post(server.url(), {}, b"{}", private=lambda: [], certificate=certificate)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that this machine's system trusts."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.cafile))
    return made


async def attempt_over_tls(
    certificate_of: Authority, address: str = "127.0.0.1", ends: timedelta = DAY
) -> tuple[Attempt, Server]:
    made = certificate_of.server("server", address, ends)
    async with serving(answering(200), made) as server, opened() as client:
        return await post(client, server), server


async def test_a_certificate_of_the_systems_authorities_is_taken(authority: Authority) -> None:
    attempt, server = await attempt_over_tls(authority)
    assert (attempt.failure, len(server.got)) == (None, 1)


async def test_an_expired_certificate_is_not_taken(authority: Authority) -> None:
    attempt, server = await attempt_over_tls(authority, ends=-DAY)
    assert (attempt.failure, server.got) == ("tls", [])
    assert attempt.answer == "the certificate was not taken: certificate has expired"


async def test_a_certificate_for_another_name_is_not_taken(authority: Authority) -> None:
    attempt, server = await attempt_over_tls(authority, address="127.0.0.2")
    assert (attempt.failure, server.got) == ("tls", [])
    assert "127.0.0.1" not in (attempt.answer or "")


async def test_a_certificate_of_an_unknown_authority_is_not_taken(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    attempt, server = await attempt_over_tls(Authority(tmp_path / "other", "unknown"))
    assert (attempt.failure, server.got) == ("tls", [])


async def test_a_server_that_does_not_speak_tls_fails_in_tls() -> None:
    async def plain(conversation: Conversation) -> None:
        await conversation.reader.read(1)
        await conversation.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(plain) as server, opened() as client:
        server.scheme = "https"
        assert (await post(client, server)).failure == "tls"


async def test_a_server_that_hangs_in_the_handshake_ends_in_a_timeout_and_the_connection_is_closed() -> None:
    async def silent(conversation: Conversation) -> None:
        await conversation.reader.read()

    async with serving(silent) as server, opened(0.3) as hasty:
        server.scheme = "https"
        assert (await post(hasty, server)).failure == "timeout"
        await server.is_left()


async def test_a_server_that_closes_in_the_handshake_is_unreachable_which_may_pass() -> None:
    async def leaving(conversation: Conversation) -> None:
        await conversation.reader.read(1)

    async with serving(leaving) as server, opened() as client:
        server.scheme = "https"
        assert (await post(client, server)).failure == "unreachable"


async def test_connections_with_tls_are_kept_for_the_next_post(authority: Authority) -> None:
    async with serving(answering(200, b"ok"), authority.server("server")) as server, opened() as client:
        for _ in range(3):
            assert (await post(client, server)).failure is None
        assert server.connections == 1


def asks_for_certificates(authority: Authority, tls: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """What a server needs that takes nobody without a certificate of this authority."""
    context = authority.server("server")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.cafile)
    context.maximum_version = tls
    return context


def shown(files: tuple[Path, Path]) -> ClientCertificate:
    return ClientCertificate(certificate=str(files[0]), key=str(files[1]))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_is_shown_to_a_server_that_asks_and_without_one_it_fails_in_tls(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    async with strict(asks_for_certificates(authority, version)) as server, opened() as client:
        assert (await post(client, server)).failure == "tls"
        assert server.got == []
        assert (await post(client, server, shown(authority.certificate("herald")))).failure is None
        assert len(server.got) == 1


async def test_a_client_certificate_of_another_authority_fails_in_tls(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "unknown").certificate("herald")
    async with strict(asks_for_certificates(authority)) as server, opened() as client:
        assert (await post(client, server, shown(stranger))).failure == "tls"


async def test_a_replaced_client_certificate_counts_at_the_next_post(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "unknown")
    files = other.certificate("herald")
    async with strict(asks_for_certificates(authority)) as server, opened() as client:
        assert (await post(client, server, shown(files))).failure == "tls"
        for old, new in zip(files, authority.certificate("herald"), strict=True):
            new.replace(old)
        assert (await post(client, server, shown(files))).failure is None


async def test_an_idle_connection_that_showed_one_certificate_is_not_used_for_another(authority: Authority) -> None:
    async with serving(answering(200), asks_for_certificates(authority)) as server, opened() as client:
        for name in ("first", "second", "first"):
            assert (await post(client, server, shown(authority.certificate(name)))).failure is None
        assert server.connections == 3  # the first one's files were written anew


@pytest.mark.parametrize("wrong", ["missing", "no PEM", "another key", "a passphrase"])
async def test_a_client_certificate_that_cannot_be_used_is_said_and_nothing_is_sent(
    authority: Authority, wrong: str
) -> None:
    certificate, key = authority.certificate("herald")
    if wrong == "missing":
        key.unlink()
    elif wrong == "no PEM":
        key.write_text("secret words")
    elif wrong == "another key":
        key = authority.certificate("other")[1]
    else:
        made = load_pem_private_key(key.read_bytes(), None)
        key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret words")))
    async with strict(asks_for_certificates(authority)) as server, opened() as client:
        attempt = await post(client, server, shown((certificate, key)))
        assert attempt.failure == "misconfigured"
        assert (attempt.answer or "").startswith("the client certificate cannot be used: ")
        assert "secret" not in (attempt.answer or "")
        assert server.connections == 0


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_an_attempt_given_up_in_whichever_step_leaves_neither_a_connection_nor_a_slot_taken(
    authority: Authority, tls: bool
) -> None:
    chance = random.Random(5)

    async with serving(hanging, authority.server("server") if tls else None) as server, opened() as client:

        async def given_up() -> None:
            task = asyncio.create_task(post(client, server))
            for _ in range(chance.randrange(40)):  # rounds of the event loop: a step ends in each
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        for _ in range(10):
            await asyncio.gather(*(given_up() for _ in range(10)))
        assert (await post_hastily(server)).failure == "timeout"  # it is not the server that has had enough
        await server.is_left()
        assert client._slots._value == MOST
        assert server.connections > 1


async def post_hastily(server: Server) -> Attempt:
    async with opened(0.2) as hasty:
        return await post(hasty, server)
