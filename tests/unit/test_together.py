"""What is written to a connection of the door leaves in pairs, in order, and nothing of it stays behind."""

import asyncio
from typing import cast

from services.gateway.door.protocol import Together


class Wire:
    """A transport that remembers."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Takes it."""
        self.sent.append(data)

    def close(self) -> None:
        """Takes that as well."""
        self.sent.append(b"closed")

    def is_closing(self) -> bool:
        """Whether it was told to."""
        return b"closed" in self.sent


def wired() -> tuple[Wire, Together]:
    """A connection, and what goes over it."""
    wire = Wire()
    return wire, Together(cast("asyncio.Transport", wire), asyncio.get_running_loop())


async def test_the_head_of_an_answer_leaves_with_its_body() -> None:
    wire, together = wired()
    for data in (b"head", b"body", b""):
        together.write(data)
    await asyncio.sleep(0)
    assert wire.sent == [b"headbody"]


async def test_what_nothing_follows_leaves_once_others_had_their_turn() -> None:
    wire, together = wired()
    for data in (b"head", b"first", b"second"):
        together.write(data)
    assert wire.sent == [b"headfirst"]
    await asyncio.sleep(0)
    assert wire.sent == [b"headfirst", b"second"]


async def test_a_connection_that_is_closed_says_first_what_it_had_to_say() -> None:
    wire, together = wired()
    together.write(b"head")
    together.close()
    await asyncio.sleep(0)
    assert wire.sent == [b"head", b"closed"]
    assert together.is_closing()
