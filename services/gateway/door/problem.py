"""Refusals over HTTP. Source: RFC 9457 (problem details), with the reasons of Herald's receipts."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from schemas.notice import Refusal, Refused

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[Refusal, int] = {
    "not_json": 400,
    "not_an_event": 400,
    "too_large": 413,
    "wrong_origin": 403,
    "unknown_participant": 403,
    "offboarded": 403,
    "unknown_release": 404,
    "unknown_alert": 404,
    "id_reused": 409,
    "stale": 409,
    "exercise_changed": 409,
    "illegal_order": 409,
    "too_late": 409,
}
"""Every other refusal is of the content: 422."""


class Reason(BaseModel):
    """One reason: its code, what would be right, and the field."""

    code: str
    message: str
    field: str | None = None


class Body(BaseModel):
    """What an answer that refuses holds."""

    type: str = Field(description="urn:herald:problem:CODE")
    title: str
    status: int
    detail: str
    reasons: list[Reason] = []
    request_id: str


class Problem(Exception):
    """An answer that refuses, whatever the route."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        reasons: Sequence[Refused] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.reasons = reasons
        self.headers = headers or {}


def unavailable(detail: str, again: int = 5) -> Problem:
    """What cannot be done just now; after so many seconds it may be asked for again."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(again)})


def refused(reasons: Sequence[Refused]) -> Problem:
    """The problem that a receipt's reasons are over HTTP."""
    first = reasons[0]
    where = f"{first.field}: " if first.field else ""
    return Problem(_STATUS.get(first.code, 422), first.code, f"{where}{first.message}", reasons)


def answer(request: Request, problem: Problem) -> JSONResponse:
    """As problem details."""
    body = Body(
        type=f"urn:herald:problem:{problem.code}",
        title=problem.code.replace("_", " "),
        status=problem.status,
        detail=problem.detail,
        reasons=[Reason(code=r.code, message=r.message, field=r.field) for r in problem.reasons],
        request_id=request.state.request_id,
    )
    content = body.model_dump(exclude_none=True)
    return JSONResponse(content, problem.status, media_type=MEDIA_TYPE, headers=problem.headers)


async def on_problem(request: Request, problem: Any) -> JSONResponse:
    """A refusal of Herald's own."""
    return answer(request, problem)


async def on_http(request: Request, error: Any) -> JSONResponse:
    """A route that is not there, or not for this method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    words = {404: "not_found", 405: "method_not_allowed"}
    code = words.get(error.status_code, "refused")
    return answer(request, Problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {})))


async def on_invalid(request: Request, error: Any) -> JSONResponse:
    """A parameter that does not fit."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    reasons = [
        Refused(code="invalid", field=".".join(map(str, one["loc"][1:]))[:64] or None, message=one["msg"][:200])
        for one in error.errors()[:20]
    ]
    return answer(request, refused(reasons))
