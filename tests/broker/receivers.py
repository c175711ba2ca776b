"""Receivers of push channels on loopback: a webhook's server and a mail server that keep what they took."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from standardwebhooks import Webhook

from services.embedded.ports import free

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(slots=True)
class Hooks:
    """What came by webhook: path, id, body, each with a signature that holds. `answer` gives the status of each."""

    port: int = 0
    taken: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    answer: Callable[[str], int] = lambda path: 204
    traces: list[str] = field(default_factory=list)
    """The `traceparent` of each that was taken."""
    connections: set[Any] = field(default_factory=set)
    """That are open: what a sender who is gone has sent is taken once there is none."""

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def ids(self, path: str) -> list[str]:
        """The ids that were taken at a path, in order."""
        return [letter_id for at, letter_id, _ in self.taken if at == path]


@contextmanager
def hooks() -> Iterator[Hooks]:
    """A webhook receiver, for as long as the context lasts."""
    found = Hooks()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            found.connections.add(self)
            super().setup()

        def finish(self) -> None:
            found.connections.discard(self)
            super().finish()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            Webhook(SECRET).verify(body, dict(self.headers.items()))
            status = found.answer(self.path)
            if status < 300:
                found.taken.append((self.path, self.headers["webhook-id"], json.loads(body)))
                found.traces.append(self.headers["traceparent"])
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


@dataclass(slots=True)
class Mails:
    """What came by mail. `answer` is what the server says after DATA."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    answer: Callable[[], str] = lambda: "250 taken"
    connections: set[Any] = field(default_factory=set)

    @property
    def relay(self) -> dict[str, Any]:
        """As a registry names it."""
        return {"host": "127.0.0.1", "port": self.port, "security": "none", "sender": "herald@herald.example"}

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """A message has come whole."""
        said = self.answer()
        if said.startswith("2"):
            self.taken.append(message_from_bytes(envelope.content, policy=policy.default))
        return said

    def ids(self) -> list[str]:
        """The alert ids of the mails, in order."""
        return [str(message["x-herald-alert-id"]) for message in self.taken]


@contextmanager
def mails() -> Iterator[Mails]:
    """A mail server, for as long as the context lasts."""
    found = Mails()
    found.port = free()

    class Counted(SMTP):
        def connection_made(self, transport: Any) -> None:
            found.connections.add(self)
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            found.connections.discard(self)

    class Counting(Controller):
        def factory(self) -> SMTP:
            return Counted(self.handler, **self.SMTP_kwargs)

    controller = Counting(found, hostname="127.0.0.1", port=found.port)
    controller.start()
    try:
        yield found
    finally:
        controller.stop()
