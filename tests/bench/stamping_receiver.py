"""A webhook receiver that notes when each came: `python -m tests.bench.stamping_receiver`, until it is killed.

Prints three ports: of one that takes everything, of one that says nothing, of one that drops the connection. `GET /` at
the first answers with path, id and time (`time.monotonic`, one for all processes of a machine) of what came since.
"""

import asyncio
import json
import sys
import time
from typing import Any

came: list[tuple[str, str, float]] = []


async def request(reader: asyncio.StreamReader) -> tuple[str, str, str]:
    """Method, path and webhook id. Raises IncompleteReadError at the end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    await reader.readexactly(int(fields.get("content-length", "0")))
    method, path, _ = head.split(" ", 2)
    return method, path, fields.get("webhook-id", "")


async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, as often as it is used."""
    while True:
        try:
            method, path, letter_id = await request(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        if method == "GET":
            told = json.dumps(came).encode()
            came.clear()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
        else:
            came.append((path, letter_id, time.monotonic()))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing until the other side goes."""
    await reader.read()
    writer.close()


async def drops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes a request, and drops the connection."""
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


async def main() -> None:
    """Serves for ever."""
    servers: list[Any] = [
        await asyncio.start_server(each, "127.0.0.1", 0, backlog=1024) for each in (takes, hangs, drops)
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
