"""HTTP/1.1 as uvicorn speaks it, with a bound on how long a request's head may take."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0


class Timely(H11Protocol):
    """Hangs up on who connects, or goes on after an answer, and then does not finish the head of a request.

    uvicorn itself waits for ever: its keep-alive timeout ends with the first byte of the next request.
    """

    _until: float | None = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(cast("asyncio.Transport", Together(transport, self.loop)))
        self._wait(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        """The head of a request may be complete with this."""
        super().data_received(data)
        if self._answers:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Begins to wait for the next request, if it is not there already."""
        super().on_response_complete()
        if not self._answers:
            self._wait(self.timeout_keep_alive + HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    @property
    def _answers(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self, seconds: float) -> None:
        self._until = self.loop.time() + seconds
        if self._timer is None:  # one timer for request after request: each is given more time than the one before
            self._timer = self.loop.call_at(self._until, self._look)

    def _stop_waiting(self) -> None:
        self._until = None

    def _look(self) -> None:
        self._timer = None
        if self._until is not None and self._until <= self.loop.time():
            self.transport.close()
        elif self._until is not None:
            self._timer = self.loop.call_at(self._until, self._look)


class Together:
    """A transport whose writes go in pairs: the head of an answer leaves with the body that follows it.

    What nothing follows leaves once others have had their turn. Source of its methods: asyncio.Transport.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Sends what was held and this, or holds this."""
        if self._held:
            self._transport.write(self._held + data)
            self._held = b""
        elif data:
            self._held = data
            self._loop.call_soon(self._let_go)

    def close(self) -> None:
        """Sends what was held, and hangs up."""
        self._let_go()
        self._transport.close()

    def _let_go(self) -> None:
        held, self._held = self._held, b""
        if held:
            self._transport.write(held)
