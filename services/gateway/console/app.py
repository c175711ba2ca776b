"""Wires the page into the door: its state, its routes, and how it says no."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from services.gateway.console import (
    asset,
    dead_letters,
    deliveries,
    drills,
    entrance,
    live,
    login,
    oidc_login,
    registry,
    release,
    shards,
    shell,
    windows,
)
from services.gateway.console.sessions import Sessions
from services.gateway.door.directory import Directory
from services.gateway.door.identity import PAGE_PATH
from services.gateway.door.problem import Problem
from services.gateway.model.delivery_overview import DeliveryOverview
from services.gateway.model.overview import Overview
from services.kernel.connection import Connection
from services.kernel.settings import Settings

Handler = Callable[[Request, Any], Awaitable[Response]]


class Console:
    """What the page stands on besides the door's own."""

    def __init__(self, settings: Settings, connection: Connection, engine: AsyncEngine, directory: Directory) -> None:
        self.sessions = Sessions(settings, directory)
        self.overview = Overview(engine)
        self.deliveries = DeliveryOverview(engine)
        self.connection = connection
        self.partitions = settings.partitions
        self.login_service = oidc_login.LoginService(settings.door)
        self.is_secure = bool(
            settings.door.tls_certfile or settings.door.behind_proxy or settings.door.public_url.startswith("https:")
        )


def add_routes(app: FastAPI) -> None:
    """Adds the page. It is in no description of the API: people use it."""
    for part in (asset, login, oidc_login, live, windows, release, deliveries, dead_letters, registry, drills, shards):
        app.include_router(part.router, include_in_schema=False)
    app.add_exception_handler(entrance.LoginNeeded, entrance.to_login)


def as_page(handler: Handler) -> Handler:
    """A handler of the door that answers with a page where somebody looks at one."""

    async def handle(request: Request, error: Any) -> Response:
        if not (request.url.path == PAGE_PATH or request.url.path.startswith(f"{PAGE_PATH}/")):
            return await handler(request, error)
        if isinstance(error, Problem):
            return await shell.on_problem(request, error)
        status = getattr(error, "status_code", 422)
        said = {404: "there is no such page", 405: "this page takes no such request"}
        why = said.get(status, "something in this address is not as it would be: a filter, or an id")
        return await shell.on_problem(request, Problem(status, "refused", why))

    return handle
