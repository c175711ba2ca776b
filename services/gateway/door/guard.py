"""What surrounds every request: a request id, a bound on the body, headers that keep browsers strict, one log line."""

import asyncio
import time
from contextlib import ExitStack
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.values import MAX_EVENT_BYTES
from services.gateway.door.problem import Problem, answer, unavailable
from services.kernel.observe import log

MAX_BODY_BYTES = MAX_EVENT_BYTES + 4096
MAX_HEADERS, MAX_HEADER_BYTES = 100, 32 * 1024


def _raw(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}


_STRICT = _raw(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
    }
)


class Guard:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on. A body that is too large is answered with 413 as soon as that is known."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"], state["headers"], state["afterwards"] = str(uuid4()), {}, ExitStack()
        began, status, taken, answers = time.monotonic(), 500, 0, False

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise Problem(413, "too_large", f"a body is at most {MAX_BODY_BYTES} bytes")
            return message

        async def strict(message: Message) -> None:
            nonlocal status, answers
            if message["type"] == "http.response.start":
                status, answers = message["status"], True
                own = _raw({"x-request-id": state["request_id"], **state["headers"]})
                ours = {**_STRICT, **own}
                others = [header for header in message["headers"] if header[0] not in ours]
                message["headers"] = [*others, *ours.items()]
            await send(message)

        try:
            _check(scope["headers"], scope["query_string"].decode("latin-1"))
            await self._app(scope, bounded, strict)
        except Problem as problem:
            await answer(Request(scope), problem)(scope, receive, strict)
        except asyncio.CancelledError:  # the server ends, and has waited for Kafka or the database as long as it may
            if answers:
                raise
            text = "this door ends, and does not know yet what came of it; say it again with the same id"
            await answer(Request(scope), unavailable(text, again=1))(scope, receive, strict)
        finally:
            state["afterwards"].close()
            # The route, not the path: no id of a person's choosing is logged.
            log.info(
                "request",
                method=scope["method"],
                route=getattr(scope.get("route"), "path", None),
                status=status,
                seconds=round(time.monotonic() - began, 4),
                participant=state.get("participant"),
                request_id=state["request_id"],
                **state.get("about", {}),
            )


def _check(headers: list[tuple[bytes, bytes]], query: str) -> None:
    # The server's own bound holds for headers that come bit by bit alone.
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        said = f"send at most {MAX_HEADERS} headers, of {MAX_HEADER_BYTES} bytes in all"
        raise Problem(431, "headers_too_large", said)
    names = [name for name, _ in parse_qsl(query, keep_blank_values=True)] if query else []
    if len(names) != len({*names}):
        raise Problem(422, "invalid", "a parameter stands twice in the address: say each once")
