"""The straight way to a route: what is said without parameters does not wait until FastAPI has looked for them."""

from collections.abc import Iterable
from typing import TypeGuard

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class Straight:
    """ASGI middleware: a request that gives none of its route's parameters goes to the route's own function at once.

    FastAPI takes a quarter of such a request's time to find that each has its default. Who gives one, in the address or
    in a header, is answered by FastAPI, which validates it, and so is whatever is asked of another route.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        ways = [route for route in routes if goes_straight(route)]
        self._ways = {(method, route.path): route for route in ways for method in route.methods or ()}
        self._headers = {named.alias.lower().encode() for route in ways for named in route.dependant.header_params}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or passes the request on."""
        route = self._ways.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None or scope["query_string"] or any(name in self._headers for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive, send)
        (who,) = route.dependant.dependencies
        assert who.call is not None  # noqa: S101 - a dependency is a call
        answer = await route.endpoint(request, await who.call(request))
        await answer(scope, receive, send)


def goes_straight(route: BaseRoute) -> TypeGuard[APIRoute]:
    """Whether a route needs no more than to know who is asking, and writes its answer itself."""
    if not isinstance(route, APIRoute) or route.dependant.path_params or route.dependant.body_params:
        return False
    named = [*route.dependant.query_params, *route.dependant.header_params, *route.dependant.cookie_params]
    defaulted = not any(one.field_info.is_required() for one in named)
    return defaulted and len(route.dependant.dependencies) == 1 and route.response_field is None
