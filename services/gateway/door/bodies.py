"""Bodies: their content type, and how strictly they are read. And what any route may refuse."""

from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from services.gateway.door.edge import readable
from services.gateway.door.problem import MEDIA_TYPE, Body, Problem
from services.gateway.door.within import Within

CLOUD_EVENT = "application/cloudevents+json"
LARGEST = 2**63 - 1
"""No offset is larger."""

BODY_SECONDS = 10.0
_within = Within(BODY_SECONDS)

_REFUSALS = {
    400: "unreadable",
    401: "no token that is taken",
    403: "not for this identity",
    408: "the body did not come in time",
    404: "not there, or somebody else's",
    409: "out of order: the receipt says why",
    413: "too large",
    415: "another content type",
    422: "readable, but not as the schema says: field, rule and remedy",
    431: "too many headers, or too large",
    429: "too many requests: Retry-After says how long",
    503: "Kafka or the read model's database cannot be reached",
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "model": Body, "content": {MEDIA_TYPE: {}}} for status, words in _REFUSALS.items()
}
"""Every refusal there is."""


def json_body(schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    """The OpenAPI of a body that Herald reads itself."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


async def read(request: Request, media_type: str = "application/json") -> dict[str, Any]:
    """The object in a body. Raises Problem: another content type, unreadable, too large, too slow."""
    return readable(await raw(request, media_type))


async def raw(request: Request, media_type: str) -> bytes:
    """A body of a content type. Raises Problem: another one, too large, too slow."""
    given, _, parameter = request.headers.get("content-type", "").lower().partition(";")
    if given.strip() != media_type or parameter.strip() not in {"", "charset=utf-8", 'charset="utf-8"'}:
        raise Problem(415, "unsupported_media_type", f"send {media_type}, in UTF-8")
    try:
        with _within():
            return await request.body()
    except TimeoutError:
        raise Problem(408, "too_slow", f"a body must be here within {BODY_SECONDS:g} seconds") from None
    except ClientDisconnect:
        raise Problem(400, "incomplete", "the body ended before its end") from None
