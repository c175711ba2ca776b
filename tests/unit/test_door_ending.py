"""A door that ends while somebody still waits for an answer."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from services.gateway.door.guard import Guard

SCOPE: dict[str, Any] = {
    "type": "http", "method": "POST", "path": "/v1/releases", "headers": [], "query_string": b"",
}  # fmt: skip


async def _sent(begins_to_answer: bool) -> list[Message]:
    """What is sent when the server breaks a request off that waits for ever."""
    waits, sent = asyncio.Event(), list[Message]()

    async def app(_: Scope, __: Receive, send: Send) -> None:
        if begins_to_answer:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        waits.set()
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    request = asyncio.create_task(Guard(app)(dict(SCOPE), receive, send))
    await waits.wait()
    request.cancel()
    if begins_to_answer:
        with pytest.raises(asyncio.CancelledError):
            await request
    else:
        await request
    return sent


async def test_who_still_waits_when_a_door_ends_is_told_to_say_it_again() -> None:
    start, body = await _sent(begins_to_answer=False)
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert "say it again with the same id" in json.loads(body["body"])["detail"]


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    assert [message["status"] for message in await _sent(begins_to_answer=True)] == [200]
