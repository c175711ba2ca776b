"""Real HTTP and HTTPS servers on loopback that misbehave as they are told."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Got:
    """One request as it came: the names of header fields in small letters."""

    method: str
    path: str
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """The fields; each comes once."""
        assert len({name for name, _ in self.fields}) == len(self.fields), self.fields
        return dict(self.fields)


@dataclass(slots=True)
class Conversation:
    """What a handler has of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "Server"

    async def request(self) -> Got | None:
        """The next request; None: the client is gone."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        method, path, _ = head[0].split(" ")
        fields = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in head[1:-2])]
        body = await self.reader.readexactly(int(dict(fields).get("content-length", "0")))
        got = Got(method, path, fields, body)
        self.server.got.append(got)
        return got

    async def say(self, raw: bytes) -> None:
        """Raises ConnectionError where the client is gone."""
        self.writer.write(raw)
        await self.writer.drain()


Handler = Callable[[Conversation], Awaitable[None]]


@dataclass(slots=True)
class Server:
    """Where it listens, what it got, and over how many connections."""

    port: int = 0
    scheme: str = "http"
    connections: int = 0
    open_now: int = 0
    got: list[Got] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """An address on it."""
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def is_left(self) -> None:
        """Waits until no connection is open."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.open_now == 0)


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server that lets the handler speak on each connection, and closes it after."""
    server = Server(scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def count(change: int) -> None:
        async with server.changed:
            server.open_now += change
            server.changed.notify_all()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        await count(1)
        try:
            with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
                await handler(Conversation(reader, writer, server))
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.transport.abort()
            tasks.discard(task)
            await count(-1)

    listening = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(status: int = 200, body: bytes = b"", content_type: str = "text/plain", *extra: str) -> Handler:
    """Always the same answer, as often as it is asked on a connection."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *extra]
    if status == 204:
        lines = lines[:1]
    raw = "\r\n".join([*lines, "", ""]).encode() + body

    async def handler(conversation: Conversation) -> None:
        while await conversation.request() is not None:
            await conversation.say(raw)

    return handler


def saying(raw: bytes) -> Handler:
    """Says this after a request, and closes."""

    async def handler(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(raw)
        conversation.writer.close()
        await conversation.writer.wait_closed()

    return handler


async def resetting(conversation: Conversation) -> None:
    """Takes the request, and drops the connection."""
    await conversation.request()
    conversation.writer.transport.abort()


async def hanging(conversation: Conversation) -> None:
    """Takes the request, and says nothing until the client goes."""
    await conversation.request()
    await conversation.reader.read()


def trickling(first: bytes, rest: bytes) -> Handler:
    """Says `first`, and then `rest` again and again, slowly."""

    async def handler(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(first)
        while True:
            await conversation.say(rest)
            await asyncio.sleep(0.01)

    return handler


def flooding(first: bytes, rest: bytes, times: int) -> Handler:
    """Says `first`, and then `rest` so many times, as fast as it is taken."""

    async def handler(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(first)
        for _ in range(times):
            await conversation.say(rest)

    return handler


@asynccontextmanager
async def strict(tls: ssl.SSLContext) -> AsyncIterator[Server]:
    """A server that says by an alert why it takes no certificate, which asyncio's keep to themselves.

    It answers 200 to one request a connection.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(listening.getsockname()[1], "https")

    def converse(connection: ssl.SSLSocket) -> None:
        with suppress(OSError):
            connection.do_handshake()
            method, path, _ = connection.recv(65536).decode("latin-1").split(" ", 2)
            server.got.append(Got(method, path, [], b""))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        with suppress(OSError):
            # Unread bytes would make the system drop what has been said.
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listening.accept()
                server.connections += 1
                with tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as connection:
                    converse(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        await asyncio.to_thread(thread.join)
        listening.close()
