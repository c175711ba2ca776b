"""Mail servers on loopback: aiosmtpd as it is, and one that says what it is told to."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

NAME, PASSWORD = "herald-user", "correct horse"
HANG, CLOSE = "hang", "close"


class Desk:
    """Takes each mail, or answers as it is told, and keeps what came."""

    def __init__(self, *, to_data: str = "250 2.0.0 taken", to_recipient: str = "250 2.1.5 known") -> None:
        self.to_data, self.to_recipient = to_data, to_recipient
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.envelopes: list[tuple[str | None, list[str]]] = []
        self.encrypted: list[bool] = []
        self.logged_in: list[bool] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_recipient.startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self.encrypted.append(session.ssl is not None)
        self.logged_in.append(session.authenticated is True)
        return self.to_data


def knows(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    """One user, by one password."""
    known = isinstance(data, LoginPassword) and data == LoginPassword(NAME.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False)


def shown(certificate: Path) -> ssl.SSLContext:
    """What a server needs to show this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@asynccontextmanager
async def relaying(desk: Desk, *, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[int]:
    """An aiosmtpd on a port of loopback; with `tls` from the first byte on. `options` are aiosmtpd's."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(desk, hostname="relay.test", loop=loop, **options), "127.0.0.1", 0, ssl=tls
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


class Told:
    """Answers each verb as it is told, and otherwise as a server does that takes everything."""

    def __init__(self, replies: Mapping[str, str]) -> None:
        self.replies = {
            "GREETING": "220 relay.test",
            "EHLO": "250 relay.test",
            "MAIL": "250 ok",
            "RCPT": "250 ok",
            "DATA": "354 go on",
            "BODY": "250 2.0.0 taken",
            "QUIT": "221 bye",
        } | dict(replies)
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.has_body, self.left = asyncio.Event(), asyncio.Event()
        self.port = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            verb = "GREETING"
            while await self._answered(verb, reader, writer):
                if verb == "DATA" and self.replies[verb].startswith("354"):
                    self.bodies.append(await reader.readuntil(b"\r\n.\r\n"))
                    self.has_body.set()
                    verb = "BODY"
                    continue
                line = await reader.readline()
                if not line:
                    break
                verb = line.decode().split()[0].upper()
                self.asked.append(verb)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.left.set()

    async def _answered(self, verb: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        reply = self.replies.get(verb, "502 not known")
        if reply == HANG:
            late = await reader.read()  # until the other side has left
            self.asked += [line.split()[0].upper() for line in late.decode().splitlines() if line.strip()]
        if reply in {HANG, CLOSE}:
            return False
        writer.write(reply.encode() + b"\r\n")
        await writer.drain()
        return True


def shakes_hands(listening: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """Takes one connection as far as TLS, and never reads or writes again. It blocks."""
    accepted, _ = listening.accept()
    return tls.wrap_socket(accepted, server_side=True)


@asynccontextmanager
async def told(replies: Mapping[str, str]) -> AsyncIterator[Told]:
    """Such a server on a port of loopback."""
    saying = Told(replies)
    server = await asyncio.start_server(saying.talk, "127.0.0.1", 0)
    saying.port = server.sockets[0].getsockname()[1]
    async with server:
        yield saying
