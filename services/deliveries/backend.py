"""How one of httpcore's connections is made here: by the guard, and by nothing else."""

from collections.abc import Iterable, Sequence
from typing import Any

import httpcore
from anyio.abc import SocketStream
from httpcore._backends.anyio import AnyIOStream  # httpcore has no public name for a stream of a given socket

from schemas.address import is_within
from services.deliveries.guard import connected


class PlainHttp(Exception):
    """http:// to an address that no network of the registry's `allow_networks` names."""


class Backend(httpcore.AnyIOBackend):
    """Connects once; `plain`: without TLS, which only networks of `allow` are spoken to.

    It closes the socket itself: httpcore leaves one open that it is called away from.
    """

    def __init__(self, allow: Sequence[str], plain: bool) -> None:
        self._allow = allow
        self._plain = plain
        self._opened: SocketStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        assert timeout is not None  # noqa: S101 - each request says how long it may take
        opened = await connected(host, port, self._allow, timeout)
        try:
            if self._plain and not is_within(opened.getpeername()[0], self._allow):
                raise PlainHttp
            self._opened = await SocketStream.from_socket(opened)
        except BaseException:
            opened.close()
            raise
        return AnyIOStream(self._opened)

    async def aclose(self) -> None:
        """Closes the connection, whatever state it is in."""
        if self._opened is not None:
            await self._opened.aclose()
