"""Keeps connections open to the servers that were used last.

httpcore's own pool is not used: it keeps for ever what it opened for a request that is cancelled, as a deadline does.
"""

import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import httpcore

from schemas.endpoint import ClientCertificate
from services.deliveries.backend import Backend
from services.deliveries.certificate import Identity, identity, showing

MOST, KEPT_SECONDS = 512, 30.0
"""So many are open at once, idle ones among them, and each is idle for so long. One server may have all of them."""


class _Origin(NamedTuple):
    scheme: bytes
    host: bytes
    port: int | None
    shown: Identity | None


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    origin: _Origin
    http: httpcore.AsyncHTTPConnection
    backend: Backend


class Connections:
    """Each is used by one attempt at a time; one whose answer was not read to its end is closed."""

    def __init__(self, allow: Sequence[str]) -> None:
        self._allow = allow
        self._tls = ssl.create_default_context()
        self._used = 0
        self._idle: dict[_Connection, float] = {}  # since when, the longest first
        self._closed = False

    @asynccontextmanager
    async def to(
        self, url: httpcore.URL, certificate: ClientCertificate | None
    ) -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        """A connection to a server. It is made when the first request is sent. Raises UnusableCertificate."""
        origin = _Origin(url.scheme, url.host, url.port, identity(certificate) if certificate else None)
        self._used += 1
        try:
            connection = await self._kept(origin) or self._new(url, origin)
            try:
                await self._give_up()
                yield connection.http
            finally:
                if connection.http.is_available() and not self._closed:
                    self._idle[connection] = time.monotonic()
                else:
                    await connection.backend.aclose()
        finally:
            self._used -= 1

    async def aclose(self) -> None:
        """Closes those that are idle, and from now on the others when they have been used."""
        self._closed = True
        while self._idle:
            connection, _ = self._idle.popitem()
            await connection.backend.aclose()

    def _new(self, url: httpcore.URL, origin: _Origin) -> _Connection:
        backend = Backend(self._allow, plain=url.scheme == b"http")
        tls = self._tls if origin.shown is None else showing(origin.shown)
        http = httpcore.AsyncHTTPConnection(
            url.origin, ssl_context=tls, keepalive_expiry=KEPT_SECONDS, network_backend=backend
        )
        return _Connection(origin, http, backend)

    async def _kept(self, origin: _Origin) -> _Connection | None:
        """The one that was used last there."""
        while connection := next((each for each in reversed(self._idle) if each.origin == origin), None):
            del self._idle[connection]
            if not connection.http.has_expired():
                return connection
            await connection.backend.aclose()
        return None

    async def _give_up(self) -> None:
        """Closes those that were idle for longest: what is too old, and what would be too many."""
        while self._idle:
            oldest, since = next(iter(self._idle.items()))
            if self._used + len(self._idle) <= MOST and time.monotonic() - since <= KEPT_SECONDS:
                return
            del self._idle[oldest]
            await oldest.backend.aclose()
