"""Sends a letter by SMTP through the deployment's relay. What the server says after DATA decides (RFC 5321 4.2.5)."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponse,
    SMTPResponseException,
    SMTPSenderRefused,
)

from schemas.address import is_within
from schemas.delivery import Failure
from schemas.endpoint import Email, MailRelay
from services.deliveries.guard import ForbiddenAddress, connected
from services.deliveries.letter import Attempt, Letter
from services.deliveries.message import written
from services.deliveries.reply import Step, kept, meant
from services.deliveries.secret import SecretError, read

SECONDS = 15.0
"""For one attempt in all, from the lookup of the relay's name to its answer after DATA."""

QUIT_SECONDS = 1.0
_STEPS: dict[type[SMTPResponseException], Step] = {
    SMTPAuthenticationError: "login",
    SMTPSenderRefused: "sender",
    SMTPRecipientRefused: "recipient",
    SMTPDataError: "content",
}


class _Failed(Exception):
    """What Herald itself found wrong, in words for people."""

    def __init__(self, failure: Failure, said: str) -> None:
        super().__init__(said)
        self.failure = failure


async def send(endpoint: Email, relay: MailRelay, letter: Letter, allow: Sequence[str]) -> Attempt:
    """One attempt. `allow` are the networks that the relay may stand in, besides public ones.

    A connection that is lost before the answer after DATA counts as none: the mail is sent again, with the same id.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    mail = written(letter, endpoint.to, relay.sender).as_bytes()
    private = _private(endpoint, relay, letter)
    smtp = SMTP(
        hostname=relay.host,
        local_hostname=relay.sender.rpartition("@")[2],
        timeout=None,  # the deadline is one for all
        use_tls=relay.security == "tls",
        start_tls=False,  # asked for below, where what it says is told apart
    )
    failure: Failure | None = None
    answered = True
    try:
        try:
            async with asyncio.timeout_at(began + SECONDS):
                response = await _sent(smtp, endpoint, relay, mail, allow)
            answer = kept(response.code, response.message, "content", private)
        except SMTPResponseException as error:
            step = _STEPS.get(type(error), "session")
            failure, answer = meant(error.code, error.message, step), kept(error.code, error.message, step, private)
        except _Failed as error:
            failure, answer = error.failure, str(error)
        except (TimeoutError, SMTPException, OSError) as error:
            answered = False
            failure, answer = _lost(error)
        seconds = loop.time() - began
        if answered:
            await _take_leave(smtp)
    finally:
        _close(smtp)
    return Attempt(seconds=seconds, failure=failure, answer=answer)


async def _sent(smtp: SMTP, endpoint: Email, relay: MailRelay, mail: bytes, allow: Sequence[str]) -> SMTPResponse:
    """The answer after DATA, of code 250: no other says that the mail was taken. Raises what came instead."""
    password = _password(relay)
    if relay.security != "none":
        smtp.tls_context = await asyncio.to_thread(_trust, relay.cafile)
    try:
        opened = await connected(relay.host, relay.port, allow, SECONDS)
    except ForbiddenAddress as error:
        raise _Failed("forbidden-address", str(error)) from None
    if relay.security == "none" and not is_within(opened.getpeername()[0], allow):
        opened.close()
        raise _Failed("misconfigured", "mail.security: none is for networks of allow_networks; write starttls or tls")
    await smtp.connect(sock=opened)
    if relay.security == "starttls":
        await _start_tls(smtp)
    if relay.username is not None:
        await _log_in(smtp, relay.username, password)
    await smtp.mail(relay.sender)
    await smtp.rcpt(endpoint.to)
    return await smtp.data(mail)


def _close(smtp: SMTP) -> None:
    smtp.close()
    if smtp.sock is not None:
        # The transport owns the socket, and would wait for a silent server to end TLS: it takes this as the end.
        with suppress(OSError):
            smtp.sock.shutdown(socket.SHUT_RDWR)


def _password(relay: MailRelay) -> str:
    if relay.username is None:
        return ""
    if relay.password is None:
        raise _Failed("misconfigured", "the mail relay has a username and no password: give mail.password")
    try:
        return read(relay.password)
    except SecretError as error:
        raise _Failed("misconfigured", str(error)) from None


def _trust(cafile: str | None) -> ssl.SSLContext:
    """Read anew each time: authorities are replaced without a restart."""
    try:
        return ssl.create_default_context(cafile=cafile)
    except OSError as error:
        said = error.strerror or "no certificate in it"
        raise _Failed("misconfigured", f"mail.cafile cannot be read: {said}") from None


async def _start_tls(smtp: SMTP) -> None:
    await smtp.ehlo()
    if not smtp.supports_extension("starttls"):
        raise _Failed("tls", "the mail relay offers no STARTTLS, and nothing is sent in plain text")
    try:
        await smtp.starttls()
    except SMTPResponseException as error:
        if error.code >= 500:
            raise _Failed("tls", f"the mail relay offers STARTTLS and refuses it: {error.code}") from None
        raise


async def _log_in(smtp: SMTP, username: str, password: str) -> None:
    await smtp.ehlo()
    if not smtp.supported_auth_methods:
        raise _Failed("misconfigured", "the mail relay takes no login that Herald knows: CRAM-MD5, PLAIN, LOGIN")
    await smtp.login(username, password)


async def _take_leave(smtp: SMTP) -> None:
    """What was answered stands, whatever the server says to QUIT, or does not say."""
    with suppress(SMTPException, OSError):
        async with asyncio.timeout(QUIT_SECONDS):
            await smtp.quit()


def _lost(error: Exception) -> tuple[Failure, str]:
    """What became of a connection that brought no answer. The error's own text may name addresses, and is not kept."""
    cause = error.__cause__ if isinstance(error, SMTPConnectError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "tls", f"the mail relay's certificate was not taken: {cause.verify_message}"[:200]
    if isinstance(cause, ssl.SSLError):
        return "tls", f"no TLS with the mail relay: {cause.reason or 'it failed'}"[:200]
    if isinstance(error, TimeoutError):
        return "timeout", f"no answer within {SECONDS:g} s"
    if isinstance(error, socket.gaierror):
        return "unreachable", "the mail relay's name leads nowhere"
    if isinstance(error, SMTPException | ConnectionResetError | BrokenPipeError):
        return "unreachable", "the connection was lost before the answer"
    return "unreachable", f"no connection to the mail relay: {getattr(error, 'strerror', None) or 'it failed'}"[:200]


def _private(endpoint: Email, relay: MailRelay, letter: Letter) -> list[str]:
    """What a server might repeat and no outcome is to keep: addresses of people, the names in them, links."""
    addresses = [endpoint.to, relay.sender, *([relay.username] if relay.username else [])]
    names = {part for each in addresses for part in (each, each.partition("@")[0])}
    tokens = {part for each in letter.links.values() for part in (each, each.rpartition("/")[2])}
    return sorted((names | tokens) - {""}, key=len, reverse=True)
