"""The straight way to a route: who takes it, and who is answered by FastAPI."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response

from services.gateway.door import labs
from services.gateway.door.straight import Straight, goes_straight

router = APIRouter()


async def _who(request: Request) -> str:
    return request.headers["x-who"]


Who = Annotated[str, Depends(_who)]


@router.post("/says")
async def says(request: Request, who: Who, wait: float = 0, key: Annotated[str | None, Header()] = None) -> Response:
    """Needs no more than to know who is asking."""
    return Response(f"{who} {wait} {key} {(await request.body()).decode()} {request.scope['route'].path}")


@router.post("/asks")
async def asks(request: Request, who: Who, wait: Annotated[float, Query()]) -> Response:
    """Needs a parameter."""
    return Response(who)


@router.post("/shows")
async def shows(request: Request, who: Who) -> dict[str, Any]:
    """Leaves it to FastAPI to write an answer."""
    return {}


async def answered(method: str, path: str, **headers: str) -> str:
    """The answer where FastAPI would say `by FastAPI`."""
    behind = FastAPI()

    @behind.api_route("/{_:path}", methods=["GET", "POST"])
    async def _(request: Request) -> Response:
        return Response("by FastAPI")

    transport = httpx.ASGITransport(Straight(behind, router.routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://door", headers={"x-who": "lab-a"}) as client:
        return (await client.request(method, path, headers=headers, content=b"body")).text


async def test_who_gives_no_parameter_is_answered_by_the_function_with_every_default() -> None:
    assert await answered("POST", "/says") == "lab-a 0 None body /says"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/says?wait=1", {}),
        ("POST", "/says?unknown", {}),
        ("POST", "/says", {"Key": "k"}),
        ("POST", "/says", {"key": ""}),
        ("GET", "/says", {}),
        ("POST", "/says/", {}),
        ("POST", "/asks", {}),
        ("POST", "/shows", {}),
    ],
)
async def test_whatever_else_is_asked_goes_by_fastapi(method: str, path: str, headers: dict[str, str]) -> None:
    assert await answered(method, path, **headers) == "by FastAPI"


def test_what_is_said_for_the_first_time_goes_straight_and_nothing_else() -> None:
    ways = [route for route in labs.router.routes if goes_straight(route)]
    assert [(route.methods, route.path) for route in ways] == [({"POST"}, "/v1/releases"), ({"POST"}, "/v1/events")]
