"""Wires the door: what it follows, what it asks, and its routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.console.app import Console, add_routes, as_page
from services.gateway.door import acknowledging, agencies, calendar, deliveries, labs, links, page, problem, publishing
from services.gateway.door.audit import Audit
from services.gateway.door.directory import Directory
from services.gateway.door.edge import Edge
from services.gateway.door.guard import Guard
from services.gateway.door.identity import Gatekeeper
from services.gateway.door.pulse import Pulse
from services.gateway.door.straight import Straight
from services.gateway.door.writer import Writer
from services.gateway.model.database import migrate, open_database
from services.gateway.model.delivery_reading import DeliveryReading
from services.gateway.model.projector import Projector
from services.gateway.model.reading import Reading
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.ending import ended
from services.kernel.observe import log
from services.kernel.settings import Settings
from services.kernel.spans import request_spans_of

if TYPE_CHECKING:
    from services.kernel.request_spans import RequestSpans

ABOUT = (
    "Herald carries a lab's early-access announcements to the agencies they concern. It is voluntary: nothing here "
    "approves, licenses or holds up a release."
)


def routes(spans: "RequestSpans | None" = None) -> FastAPI:
    """The routes alone, with nothing behind them: what the OpenAPI description is made from.

    Of what FastAPI would tell OpenTelemetry, a span a request is taken, and nothing where there are no `spans`.
    """
    telemetry: TelemetryConfig = {
        "tracing": spans is not None,
        "tracer_provider": spans.provider if spans is not None else None,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
    }
    app = FastAPI(
        title="Herald",
        version=version("herald-early-access"),
        description=ABOUT,
        openapi_url=None,
        telemetry=telemetry,
    )
    app.include_router(labs.router, tags=["labs"])
    app.include_router(publishing.router, tags=["labs"])
    app.include_router(agencies.router, tags=["agencies"])
    app.include_router(deliveries.router, tags=["agencies"])
    app.include_router(links.router, tags=["agencies"])
    app.include_router(calendar.router, tags=["agencies"])
    app.include_router(acknowledging.router)
    app.include_router(page.router)
    add_routes(app)
    app.add_exception_handler(problem.Problem, as_page(problem.on_problem))
    app.add_exception_handler(HTTPException, as_page(problem.on_http))
    app.add_exception_handler(RequestValidationError, as_page(problem.on_invalid))
    for away in (SQLAlchemyError, ConnectionError, TimeoutError):
        app.add_exception_handler(away, _on_away)
    app.add_middleware(Straight, routes=labs.router.routes)
    app.add_middleware(Guard)  # the outermost
    return app


async def _on_away(request: Request, error: Exception) -> Response:
    log.error("database_does_not_answer", error=type(error).__name__, request_id=request.state.request_id)
    text = "what is read here stands in a database that does not answer just now; try again"
    return await as_page(problem.on_problem)(request, problem.unavailable(text))


def door(settings: Settings) -> FastAPI:
    """The door, which starts what it stands on with its lifespan."""
    spans = request_spans_of("door")
    app = routes(spans)
    state = app.state
    state.spans = spans
    connection, engine = Connection(settings.kafka), open_database(settings)
    state.stopping = asyncio.Event()
    state.failure = None
    state.directory = Directory(connection)
    state.projector = Projector(connection, engine, settings.partitions, lambda: state.directory.registry)
    state.reading = Reading(engine)
    state.clock = SystemClock(settings.clock)
    writer = Writer(connection)
    state.audit = Audit(connection, writer, state.clock)
    state.edge = Edge(connection, writer, state.directory, state.projector, state.reading, state.audit, state.stopping)
    state.gatekeeper = Gatekeeper(state.directory, settings.door)
    state.publishing = publishing.Publishing(connection, state.directory, state.audit)
    state.deliveries = DeliveryReading(engine)
    state.replays = deliveries.Replays(connection, writer, state.directory, state.audit, state.clock)
    state.pulse = Pulse(connection)
    state.console = Console(settings, connection, engine, state.directory)
    state.links = links.Links(settings, state.directory, state.clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await migrate(engine)
            await writer.start()
            await state.edge.start()
        except Exception as error:
            state.failure = error  # the server would only say that it does not start
            raise
        tasks = [asyncio.create_task(state.directory.run())]
        await state.directory.ready.wait()
        tasks += [asyncio.create_task(follower.run()) for follower in (state.projector, state.pulse)]
        try:
            yield
        finally:
            await ended(*tasks)
            await state.edge.stop()
            await writer.stop()
            await engine.dispose()
            if spans is not None:
                await asyncio.to_thread(spans.close)

    app.router.lifespan_context = lifespan
    return app
