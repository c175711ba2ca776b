"""The one way to other people's HTTP servers: each connection guarded, each answer bounded in time and size."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import cast

import httpcore
import httpx

from schemas.endpoint import ClientCertificate
from services.deliveries.connections import MOST, Connections
from services.deliveries.letter import Attempt
from services.deliveries.mishap import mishap
from services.deliveries.verdict import Judge, by_status, line, retry_after, said

CONNECT_SECONDS, ATTEMPT_SECONDS = 10.0, 15.0
BODY_BYTES = 16 * 1024
_OURS = {"accept-encoding": "identity", "user-agent": "Herald"}

# At DEBUG it says hosts and the header fields of answers, in which a server may repeat what is secret.
logging.getLogger("httpcore").setLevel(logging.INFO)


class Client:
    """Posts to servers, and says what came of it. It keeps connections open to the servers it used last.

    Proxies of the environment do not count, redirects are not followed, cookies are not kept, and nothing is logged:
    httpx's own client is not used, which logs each address, and a chat's is a secret.
    """

    def __init__(
        self,
        allow: Sequence[str] = (),
        *,
        connect_seconds: float = CONNECT_SECONDS,
        attempt_seconds: float = ATTEMPT_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`allow` are networks as in the registry. Where they change, another client is opened."""
        self._connect_seconds = connect_seconds
        self._attempt_seconds = attempt_seconds
        self._now = now
        # More attempts wait, and their own time does not run yet.
        self._slots = asyncio.Semaphore(MOST)
        self._connections = Connections(tuple(allow))

    async def aclose(self) -> None:
        """Closes the idle connections; attempts that still run close theirs."""
        await self._connections.aclose()

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        private: Callable[[], Iterable[str]],
        certificate: ClientCertificate | None = None,
        judge: Judge = by_status,
    ) -> Attempt:
        """One POST. `private` gives what was sent and must never stand in what is said of the answer.

        The status decides as soon as it is there: a body that breaks off, or that nobody could ever read to its end,
        changes nothing.
        """
        async with self._slots:
            began = time.monotonic()
            try:
                status, fields, start = await self._exchanged(url, headers, body, certificate)
            except Exception as error:
                found = mishap(error)
                if found is None:
                    raise
                return Attempt(time.monotonic() - began, found[0], line(found[1]))
            seconds = time.monotonic() - began
        failed = judge(status, start)
        if failed is None:
            return Attempt(seconds, None, f"HTTP {status}")
        answer = said(status, fields.get("content-type", ""), start, private())
        return Attempt(seconds, failed, answer, retry_after(fields.get("retry-after"), self._now()))

    async def _exchanged(
        self, url: str, headers: Mapping[str, str], body: bytes, certificate: ClientCertificate | None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, header fields by their names in small letters, and the beginning of the body."""
        request = httpx.Request("POST", url, headers={**headers, **_OURS}, content=body)
        where = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        timeouts = {"timeout": {"connect": self._connect_seconds}}
        asked = httpcore.Request("POST", where, headers=request.headers.raw, content=body, extensions=timeouts)
        async with asyncio.timeout(self._attempt_seconds) as deadline, self._connections.to(where, certificate) as way:
            response = await way.handle_async_request(asked)
            ends = deadline.when()
            deadline.reschedule(None)
            try:
                start = await _beginning(response, ends)
            finally:
                await response.aclose()
        fields: dict[str, str] = {}
        for name, value in response.headers:
            fields.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
        return response.status, fields, start


async def _beginning(response: httpcore.Response, ends: float | None) -> bytes:
    """As much of a body as is ever read, in the time that is left."""
    start = bytearray()
    try:
        async with asyncio.timeout_at(ends):
            async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_stream())) as chunks:
                async for chunk in chunks:
                    start += chunk
                    if len(start) >= BODY_BYTES:
                        break
    except (TimeoutError, httpcore.NetworkError, httpcore.ProtocolError, OSError):
        pass  # the status has been said already
    return bytes(start[:BODY_BYTES])
