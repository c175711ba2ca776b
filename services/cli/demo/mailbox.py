"""The demo's mail server: it takes mail for the addresses of its agencies' endpoints, and for nobody else."""

import asyncio
import re
from collections.abc import Callable, Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope

from schemas.endpoint import Email
from services.cli.demo.pushed import Pushed
from services.embedded.ports import LOOPBACK

_LINK = re.compile(r"https?://\S+/acknowledge/\S+")


class Mailbox:
    """Listens on a free port of loopback, in the running event loop."""

    def __init__(self, endpoints: Mapping[tuple[str, str], Email], hears: Callable[[Pushed], None]) -> None:
        self._boxes = {endpoint.to: where for where, endpoint in endpoints.items()}
        self._hears = hears

    async def start(self) -> int:
        """Begins to listen; returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, hostname="localhost", loop=loop), LOOPBACK, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        """Stops listening."""
        self._server.close()

    async def handle_RCPT(self, _: Any, __: Any, envelope: Envelope, address: str, ___: Any) -> str:
        """Somebody is to get a mail: aiosmtpd asks."""
        if address not in self._boxes:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 known"

    async def handle_DATA(self, _: Any, __: Any, envelope: Envelope) -> str:
        """A mail has come whole: aiosmtpd hands it over."""
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        for address in envelope.rcpt_tos:
            self._hears(received(*self._boxes[address], message))
        return "250 2.0.0 taken"


def received(agency: str, endpoint: str, message: EmailMessage) -> Pushed:
    """What a mail says: by its header it names each alert that it is about."""
    alerts = tuple(str(value) for value in message.get_all("X-Herald-Alert-Id", ()))
    if not alerts:
        return Pushed(agency, endpoint, "email", fault="a mail without X-Herald-Alert-Id")
    body = message.get_body(("plain",))
    link = _LINK.search(body.get_content()) if body is not None else None
    return Pushed(agency, endpoint, "email", alerts, str(message["Subject"]), link[0] if link else "")
