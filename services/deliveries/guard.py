"""The only way that Herald connects to endpoints: the address that is checked is the one that is used."""

import asyncio
import os
import socket
from collections.abc import Sequence

from schemas.address import is_allowed


class ForbiddenAddress(Exception):
    """A host has no address that Herald may connect to. It says nothing of what the host's name led to."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host}: no public address; if it is meant, name its network in allow_networks of the registry"
        )
        self.host = host


async def connected(host: str, port: int, allow: Sequence[str], seconds: float) -> socket.socket:
    """A connected, non-blocking TCP socket to one of the host's addresses that are allowed, tried in their order.

    Raises ForbiddenAddress where it has none, TimeoutError after `seconds` in all, and another OSError where there is
    no such host or nothing answers. A name is looked up once: what it says later changes nothing.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    async with asyncio.timeout_at(ends):
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except ValueError as error:  # an empty or overlong label, which is asked of no server
            raise OSError(f"{host}: no host's name") from error
        targets = [
            (family, str(where[0]))
            for family, _, _, _, where in dict.fromkeys(found)
            if family in (socket.AF_INET, socket.AF_INET6) and is_allowed(str(where[0]), allow)
        ]
        if not targets:
            raise ForbiddenAddress(host)
        failure: OSError | None = None
        for place, (family, address) in enumerate(targets):
            # One that never answers leaves the others their share of the time.
            share = (ends - loop.time()) / (len(targets) - place)
            try:
                async with asyncio.timeout(share):
                    return await _opened(family, host, address, port, allow)
            except OSError as error:
                # asyncio's words name the address; the number alone makes the same error.
                failure = OSError(error.errno, os.strerror(error.errno)) if error.errno else error
        assert failure is not None  # noqa: S101 - there was a target, and it gave no socket
        raise failure


async def _opened(
    family: socket.AddressFamily, host: str, address: str, port: int, allow: Sequence[str]
) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(opened, (address, port))
        if not is_allowed(str(opened.getpeername()[0]), allow):
            raise ForbiddenAddress(host)
    except BaseException:
        opened.close()
        raise
    return opened
