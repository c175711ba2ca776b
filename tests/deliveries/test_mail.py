"""Mail goes out by real SMTP, over a checked connection, and what the server says after DATA is what came of it."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.delivery import Failure
from schemas.endpoint import Email, MailRelay
from services.deliveries import mail as mail_module
from services.deliveries.guard import connected
from services.deliveries.letter import Attempt
from services.deliveries.mail import send
from services.deliveries.message import written
from services.deliveries.reply import kept, meant
from services.embedded.authority import certificate
from services.embedded.secured import CA_FILE
from tests.deliveries.mail_letters import alert, letter, link, notice
from tests.deliveries.smtp_servers import CLOSE, HANG, NAME, PASSWORD, Desk, knows, relaying, shakes_hands, shown, told

TO, SENDER = "watch.desk@agency.example", "herald@relay.example"
LOOPBACK = ("127.0.0.0/8",)


def relay(port: int, security: str = "none", **changed: Any) -> MailRelay:
    return MailRelay.model_validate(
        {"host": "127.0.0.1", "port": port, "security": security, "sender": SENDER} | changed
    )


async def sent(to: MailRelay, allow: tuple[str, ...] = LOOPBACK) -> Attempt:
    return await send(Email(channel="email", tier="watch", to=TO), to, letter(alert()), allow)


def failed(attempt: Attempt, failure: Failure) -> str:
    """What is said of a failure, safe to keep."""
    assert attempt.failure == failure
    assert attempt.answer
    assert attempt.answer.isprintable()
    assert len(attempt.answer) <= 200
    for private in ("watch.desk", "agency.example", "herald@", NAME, PASSWORD, link(alert().alert_id)):
        assert private not in attempt.answer
    return attempt.answer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and a certificate of loopback that it has signed."""
    folder = tmp_path_factory.mktemp("authority")
    certificate(folder, "relay")
    return folder


@pytest.fixture(scope="module")
def secured(authority: Path) -> ssl.SSLContext:
    return shown(certificate(authority, "relay"))


@pytest.fixture
def cafile(authority: Path) -> str:
    return str(authority / CA_FILE)


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> str:
    """The reference of the password that the server knows."""
    monkeypatch.setenv("RELAY_PASSWORD", PASSWORD)
    return "env:RELAY_PASSWORD"


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_module, "SECONDS", 0.3)


async def test_a_mail_arrives_as_it_was_written() -> None:
    desk = Desk()
    async with relaying(desk) as port:
        attempt = await sent(relay(port))
    assert attempt.failure is None
    assert attempt.answer == "250 2.0.0 taken"
    assert attempt.seconds > 0
    assert desk.envelopes == [(SENDER, [TO])]
    assert desk.raw == [written(letter(alert()), TO, SENDER).as_bytes()]
    assert desk.mails[0]["Message-ID"] == f"<{alert().alert_id}@relay.example>"


async def test_a_notice_arrives_too() -> None:
    desk = Desk()
    async with relaying(desk) as port:
        endpoint = Email(channel="email", tier="watch", to=TO)
        assert (await send(endpoint, relay(port), notice("test", "desk"), LOOPBACK)).failure is None
    assert desk.mails[0]["Subject"] == "Herald: test of cisa/desk"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_starttls_is_used_with_a_certificate_that_is_verified(
    host: str, secured: ssl.SSLContext, cafile: str
) -> None:
    desk = Desk()
    async with relaying(desk, tls_context=secured, require_starttls=True) as port:
        assert (await sent(relay(port, "starttls", host=host, cafile=cafile))).failure is None
    assert desk.encrypted == [True]


async def test_tls_from_the_first_byte(secured: ssl.SSLContext, cafile: str) -> None:
    desk = Desk()
    async with relaying(desk, tls=secured) as port:
        assert (await sent(relay(port, "tls", cafile=cafile))).failure is None
    assert len(desk.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_not_taken(security: str, secured: ssl.SSLContext) -> None:
    desk = Desk()
    options = {"tls_context": secured} if security == "starttls" else {"tls": secured}
    async with relaying(desk, **options) as port:
        assert "certificate" in failed(await sent(relay(port, security)), "tls")
    assert not desk.mails


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_an_expired_certificate_is_not_taken(security: str, tmp_path: Path) -> None:
    expired = shown(certificate(tmp_path, "relay", datetime.now(UTC) - timedelta(days=400)))
    desk = Desk()
    options = {"tls_context": expired} if security == "starttls" else {"tls": expired}
    async with relaying(desk, **options) as port:
        attempt = await sent(relay(port, security, cafile=str(tmp_path / CA_FILE)))
        assert "expired" in failed(attempt, "tls")
    assert not desk.mails


async def test_a_certificate_of_another_name_is_not_taken(
    secured: ssl.SSLContext, cafile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def to_loopback(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", to_loopback)
    desk = Desk()
    async with relaying(desk, tls=secured) as port:
        failed(await sent(relay(port, "tls", host="relay.example", cafile=cafile)), "tls")
    assert not desk.mails


async def test_without_starttls_nothing_is_sent_in_plain_text(cafile: str) -> None:
    async with told({}) as server:
        assert "STARTTLS" in failed(await sent(relay(server.port, "starttls", cafile=cafile)), "tls")
    assert server.asked == ["EHLO", "QUIT"]


@pytest.mark.parametrize(("reply", "failure"), [("454 4.7.0 not now", "server-error"), ("502 5.5.1 not here", "tls")])
async def test_a_server_that_offers_starttls_and_refuses_it_gets_no_mail(
    reply: str, failure: Failure, cafile: str
) -> None:
    async with told({"EHLO": "250-relay.test\r\n250 STARTTLS", "STARTTLS": reply}) as server:
        failed(await sent(relay(server.port, "starttls", cafile=cafile)), failure)
    assert "MAIL" not in server.asked


async def test_what_is_injected_before_tls_counts_for_nothing(cafile: str) -> None:
    injected = "220 go on\r\n250 2.0.0 taken"
    async with told({"EHLO": "250-relay.test\r\n250 STARTTLS", "STARTTLS": injected}) as server:
        assert (await sent(relay(server.port, "starttls", cafile=cafile))).failure in {"tls", "unreachable"}


async def test_a_plain_server_where_tls_was_meant_is_a_failure_of_tls(cafile: str) -> None:
    async with told({}) as server:
        failed(await sent(relay(server.port, "tls", cafile=cafile)), "tls")


async def test_no_plain_text_goes_to_a_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.address._is_public", lambda address: True)
    async with told({}) as server:
        assert "mail.security" in failed(await sent(relay(server.port), ()), "misconfigured")
    assert server.asked == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_it_logs_in_with_the_password_that_stands_at_the_reference(
    mechanism: str, secured: ssl.SSLContext, cafile: str, password: str
) -> None:
    desk = Desk()
    other = {"PLAIN", "LOGIN"} - {mechanism}
    options: dict[str, Any] = {"authenticator": knows, "auth_required": True, "auth_exclude_mechanism": other}
    async with relaying(desk, tls_context=secured, **options) as port:
        attempt = await sent(relay(port, "starttls", cafile=cafile, username=NAME, password=password))
    assert attempt.failure is None
    assert desk.logged_in == [True]


async def test_a_password_is_read_anew_so_that_one_that_was_replaced_counts(
    secured: ssl.SSLContext, cafile: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("wrong")
    desk = Desk()
    async with relaying(desk, tls_context=secured, authenticator=knows) as port:
        to = relay(port, "starttls", cafile=cafile, username=NAME, password=f"file:{file}")
        answer = failed(await sent(to), "misconfigured")
        assert answer == "535 5.7.8"
        file.write_text(PASSWORD + "\n")
        assert (await sent(to)).failure is None


async def test_a_relay_that_wants_a_login_and_has_none_in_the_registry_is_misconfigured(
    secured: ssl.SSLContext, cafile: str
) -> None:
    async with relaying(Desk(), tls_context=secured, authenticator=knows, auth_required=True) as port:
        assert failed(await sent(relay(port, "starttls", cafile=cafile)), "misconfigured").startswith("530")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"username": NAME, "password": "env:NO_SUCH_PASSWORD"}, "env:NO_SUCH_PASSWORD"),
        ({"username": NAME}, "mail.password"),
        ({"security": "tls", "cafile": "/no/such/file.pem"}, "cafile"),
        ({"security": "tls", "cafile": __file__}, "cafile"),
    ],
)
async def test_what_cannot_be_read_is_named_and_no_connection_is_made(wrong: dict[str, str], said: str) -> None:
    async with told({}) as server:
        assert said in failed(await sent(relay(server.port, **wrong)), "misconfigured")
    assert server.asked == []


async def test_a_server_without_a_login_that_herald_knows_is_misconfigured(password: str) -> None:
    async with told({"EHLO": "250-relay.test\r\n250 AUTH GSSAPI"}) as server:
        failed(await sent(relay(server.port, username=NAME, password=password)), "misconfigured")
    assert "MAIL" not in server.asked


async def test_what_a_server_repeats_of_a_login_is_not_kept(password: str) -> None:
    echo = f"535 5.7.8 AUTH PLAIN AGhlcmFsZC11c2VyAGNvcnJlY3QgaG9yc2U= of {NAME}: {PASSWORD}"
    async with told({"EHLO": "250-relay.test\r\n250 AUTH PLAIN", "AUTH": echo}) as server:
        attempt = await sent(relay(server.port, username=NAME, password=password))
    assert failed(attempt, "misconfigured") == "535 5.7.8"


@pytest.mark.parametrize(
    ("at", "reply", "failure"),
    [
        ("BODY", "554 5.7.1 refused as spam", "refused"),
        ("BODY", "550 5.1.1 nobody here", "gone"),
        ("BODY", "451 4.3.0 later", "server-error"),
        ("BODY", "452 4.7.1 slow down", "throttled"),
        ("BODY", "421 4.3.2 too many connections", "throttled"),
        ("BODY", "421 4.3.2 going down", "server-error"),
        ("BODY", "354 go on", "protocol"),
        ("BODY", "and who are you", "protocol"),
        ("DATA", "250 ok", "protocol"),
        ("DATA", "451 4.3.0 later", "server-error"),
        ("RCPT", "550 5.1.1 <watch.desk@agency.example>: user unknown", "gone"),
        ("RCPT", "550 No such user: watch.desk", "gone"),
        ("RCPT", "550 5.7.1 relaying denied", "refused"),
        ("RCPT", "450 4.2.1 mailbox busy", "server-error"),
        ("MAIL", "550 5.1.1 sender unknown", "refused"),
        ("MAIL", "530 5.7.0 log in first", "misconfigured"),
        ("EHLO", "421 4.7.0 try again later", "throttled"),
        ("GREETING", "554 5.7.1 not you", "refused"),
        ("GREETING", "421 too many connections", "throttled"),
        ("GREETING", "HTTP/1.1 400 Bad Request", "protocol"),
    ],
)
async def test_an_answer_is_told_apart_by_its_codes(at: str, reply: str, failure: Failure) -> None:
    async with told({at: reply}) as server:
        answer = failed(await sent(relay(server.port)), failure)
        await server.left.wait()
    assert failure == "protocol" or answer.startswith(reply[:3])


async def test_a_refusal_after_data_is_what_counts_though_all_before_was_taken() -> None:
    desk = Desk(to_data="550 5.7.1 content refused, see https://herald.example.gov/acknowledge/x for watch.desk")
    async with relaying(desk) as port:
        assert failed(await sent(relay(port)), "refused") == "550 5.7.1 content refused, see … for …"
    assert len(desk.mails) == 1


async def test_an_unknown_mailbox_is_gone() -> None:
    desk = Desk(to_recipient="550 5.1.1 <watch.desk@agency.example> unknown")
    async with relaying(desk) as port:
        assert failed(await sent(relay(port)), "gone") == "550 5.1.1 … unknown"
    assert not desk.mails


async def test_a_connection_that_ends_before_the_answer_is_tried_again_as_the_same_mail() -> None:
    async with told({"BODY": CLOSE}) as server:
        failed(await sent(relay(server.port)), "unreachable")
        server.replies["BODY"] = "250 2.0.0 taken"
        assert (await sent(relay(server.port))).failure is None
    assert len(server.bodies) == 2
    assert server.bodies[0] == server.bodies[1]


@pytest.mark.parametrize("at", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_a_server_that_leaves_in_the_middle_is_unreachable(at: str) -> None:
    async with told({at: CLOSE}) as server:
        failed(await sent(relay(server.port)), "unreachable")


@pytest.mark.parametrize("at", ["GREETING", "EHLO", "MAIL", "DATA", "BODY"])
@pytest.mark.usefixtures("short_deadline")
async def test_a_server_that_hangs_costs_the_deadline_once_and_is_left(at: str) -> None:
    async with told({at: HANG}) as server:
        failed(await sent(relay(server.port)), "timeout")
        await server.left.wait()
    assert "QUIT" not in server.asked


@pytest.mark.usefixtures("short_deadline")
async def test_a_server_that_hangs_instead_of_tls_is_left(cafile: str) -> None:
    async with told({"GREETING": HANG}) as server:
        failed(await sent(relay(server.port, "tls", cafile=cafile)), "timeout")
        await server.left.wait()


@pytest.mark.usefixtures("short_deadline")
async def test_a_server_that_does_not_even_end_tls_is_left_at_once(
    secured: ssl.SSLContext, cafile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours: list[socket.socket] = []

    async def noted(*where: Any) -> socket.socket:
        ours.append(await connected(*where))
        return ours[0]

    monkeypatch.setattr(mail_module, "connected", noted)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        silent = asyncio.create_task(asyncio.to_thread(shakes_hands, listening, secured))
        failed(await sent(relay(listening.getsockname()[1], "tls", cafile=cafile)), "timeout")
        with await silent:
            async with asyncio.timeout(10):  # TLS alone would wait for 30 s
                while ours[0].fileno() != -1:
                    await asyncio.sleep(0.001)


async def test_a_server_that_leaves_instead_of_tls_is_unreachable(cafile: str) -> None:
    async with told({"GREETING": CLOSE}) as server:
        failed(await sent(relay(server.port, "tls", cafile=cafile)), "unreachable")


async def test_a_server_that_says_nothing_to_quit_has_taken_the_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_module, "QUIT_SECONDS", 0.05)
    async with told({"QUIT": HANG}) as server:
        assert (await sent(relay(server.port))).failure is None
        await server.left.wait()
    assert server.asked[-1] == "QUIT"


async def test_an_attempt_that_is_called_off_leaves_no_connection() -> None:
    async with told({"BODY": HANG}) as server:
        attempt = asyncio.create_task(sent(relay(server.port)))
        await server.has_body.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await server.left.wait()


async def test_an_endless_answer_is_cut_off() -> None:
    endless = "\r\n".join(["250-" + "x" * 1000] * 2000)
    async with told({"EHLO": endless}) as server:
        failed(await sent(relay(server.port)), "protocol")


async def test_a_relay_at_a_forbidden_address_is_not_connected_to() -> None:
    async with told({}) as server:
        assert "allow_networks" in failed(await sent(relay(server.port), ()), "forbidden-address")
    assert server.asked == []


async def test_a_relay_that_is_not_there_is_unreachable() -> None:
    async with told({}) as server:
        port = server.port
    assert "refused" in failed(await sent(relay(port)), "unreachable")
    assert "name" in failed(await sent(relay(port, host="nobody.invalid")), "unreachable")


@given(code=st.integers(1, 999), text=st.text(max_size=400), name=st.sampled_from(["desk", "a", "x.y"]))
def test_what_is_kept_of_an_answer_is_one_printable_line_without_names(code: int, text: str, name: str) -> None:
    line = kept(code, f"{text} {name} <{name}@agency.example> {text}", "content", [f"{name}@agency.example", name])
    assert line.isprintable()
    assert 1 <= len(line) <= 200
    assert f"{name}@" not in line
    assert f" {name} " not in line


@given(code=st.integers(-1, 999), text=st.text(max_size=40))
def test_only_5xx_is_for_good(code: int, text: str) -> None:
    for step in ("session", "login", "sender", "recipient", "content"):
        if meant(code, text, step) in {"refused", "gone"}:
            assert 500 <= code < 600
