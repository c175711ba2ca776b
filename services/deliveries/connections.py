"""Keeps a few idle connections to the servers that were used last.

httpcore's own pool is not used: it keeps for ever what it opened for a request that is cancelled, as a deadline does.
"""

import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpcore

from schemas.endpoint import ClientCertificate
from services.deliveries.backend import Backend
from services.deliveries.certificate import Identity, identity, showing

KEPT_BY_ORIGIN, KEPT_IN_ALL, KEPT_SECONDS = 8, 256, 30.0


class _Origin(NamedTuple):
    scheme: bytes
    host: bytes
    port: int | None
    shown: Identity | None


class _Connection(NamedTuple):
    http: httpcore.AsyncHTTPConnection
    backend: Backend


class Connections:
    """Each is used by one attempt at a time; one whose answer was not read to its end is closed."""

    def __init__(self, allow: Sequence[str]) -> None:
        self._allow = allow
        self._tls = ssl.create_default_context()
        self._idle: OrderedDict[_Origin, list[_Connection]] = OrderedDict()
        self._closed = False

    @asynccontextmanager
    async def to(
        self, url: httpcore.URL, certificate: ClientCertificate | None
    ) -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        """A connection to a server. It is made when the first request is sent. Raises UnusableCertificate."""
        origin = _Origin(url.scheme, url.host, url.port, identity(certificate) if certificate else None)
        connection = await self._kept(origin) or self._new(url, origin)
        try:
            yield connection.http
        finally:
            usable = connection.http.is_idle() and not connection.http.has_expired() and not self._closed
            await _close(self._keep(origin, connection) if usable else [connection])

    async def aclose(self) -> None:
        """Closes those that are idle, and from now on the others when they have been used."""
        self._closed = True
        while self._idle:
            await _close(self._idle.popitem()[1])

    def _new(self, url: httpcore.URL, origin: _Origin) -> _Connection:
        backend = Backend(self._allow, plain=url.scheme == b"http")
        tls = self._tls if origin.shown is None else showing(origin.shown)
        http = httpcore.AsyncHTTPConnection(
            url.origin, ssl_context=tls, keepalive_expiry=KEPT_SECONDS, network_backend=backend
        )
        return _Connection(http, backend)

    async def _kept(self, origin: _Origin) -> _Connection | None:
        while kept := self._idle.get(origin):
            connection = kept.pop()
            if not kept:
                del self._idle[origin]
            if not connection.http.has_expired():
                return connection
            await _close([connection])
        return None

    def _keep(self, origin: _Origin, connection: _Connection) -> list[_Connection]:
        """Keeps one, and gives up others for it."""
        kept = self._idle.setdefault(origin, [])
        self._idle.move_to_end(origin)
        kept.append(connection)
        given_up = [kept.pop(0)] if len(kept) > KEPT_BY_ORIGIN else []
        oldest, connections = next(iter(self._idle.items()))
        if sum(map(len, self._idle.values())) > KEPT_IN_ALL or connections[-1].http.has_expired():
            given_up += self._idle.pop(oldest)
        return given_up


async def _close(connections: list[_Connection]) -> None:
    for connection in connections:
        await connection.backend.aclose()
