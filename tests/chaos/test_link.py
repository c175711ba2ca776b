"""A link lets pass what it is given, holds everything back while it is cut, and is slow when it is told to be."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.embedded.ports import LOOPBACK, free
from tests.chaos.link import Link

Line = tuple[Link, asyncio.StreamReader, asyncio.StreamWriter]


@pytest_asyncio.fixture
async def line() -> AsyncIterator[Line]:
    """A link to a server that echoes, and a connection through it."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(1000):
            writer.write(said)
        writer.close()

    port = free()
    server = await asyncio.start_server(echo, LOOPBACK, port)
    link = Link(port)
    reader, writer = await asyncio.open_connection(LOOPBACK, link.port)
    yield link, reader, writer
    writer.close()
    server.close()
    link.close()


async def test_what_is_said_passes(line: Line) -> None:
    _, reader, writer = line
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"


async def test_nothing_passes_while_it_is_cut_and_all_of_it_comes_in_order_once_it_is_mended(line: Line) -> None:
    link, reader, writer = line
    link.cut()
    for part in (b"one", b"two", b"three"):
        writer.write(part)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.3)
    link.mend()
    assert await reader.readexactly(11) == b"onetwothree"


async def test_a_slow_link_takes_its_time_in_each_direction(line: Line) -> None:
    link, reader, writer = line
    link.slow(0.1)
    began = time.monotonic()
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    assert time.monotonic() - began >= 0.2


async def test_who_connects_while_nobody_listens_behind_it_is_hung_up_on() -> None:
    link = Link(free())
    reader, writer = await asyncio.open_connection(LOOPBACK, link.port)
    assert await reader.read(1) == b""
    writer.close()
    link.close()
