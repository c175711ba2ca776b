"""Shards and lag: who works, and how far they have come."""

import asyncio

from fastapi import APIRouter, Request, Response

from services.gateway.console.entrance import Viewer
from services.gateway.console.groups import Unreadable, groups
from services.gateway.console.shell import render
from services.gateway.door.identity import PAGE_PATH
from services.gateway.door.problem import Problem

router = APIRouter(prefix=PAGE_PATH)


@router.get("/shards")
async def shards(request: Request, _: Viewer) -> Response:
    """Every service's group in Kafka, and the projection behind this page."""
    state = request.app.state
    try:
        found = await asyncio.to_thread(groups, state.console.connection)
    except Unreadable as error:
        why = f"Kafka does not say ({error}); after an update, `herald provision` lets the door ask"
        raise Problem(503, "unavailable", why) from None
    return render(
        request, "shards.html", groups=found, projection=state.projector.problem, partitions=state.console.partitions
    )
