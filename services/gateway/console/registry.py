"""The registry: who takes part, and what each version changed, or one against another."""

import asyncio
from typing import Annotated

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Query, Request, Response

from schemas.registry import Registry
from schemas.registry_diff import differences
from services.gateway.console.entrance import Viewer
from services.gateway.console.shell import render
from services.gateway.door.identity import PAGE_PATH
from services.gateway.door.problem import Problem
from services.kernel.registry_log import versions

router = APIRouter(prefix=PAGE_PATH)

READ_SECONDS = 20.0
SHOWN = 30
Version = Annotated[int | None, Query(ge=0)]


@router.get("/registry")
async def registry(request: Request, _: Viewer, before: Version = None, after: Version = None) -> Response:
    """The version in force, the last versions, and two of them compared."""
    kept = await _kept(request)
    known = {0: Registry(), **{one.version: one for one in kept}}
    if not {before, after} <= {None, *known}:
        raise Problem(404, "unknown_version", "the registry has no such version")
    earlier = [Registry(), *kept]
    changes = [(one, differences(earlier[number], one)) for number, one in enumerate(kept)]
    compared = None if before is None or after is None else differences(known[before], known[after])
    return render(
        request,
        "registry.html",
        current=kept[-1] if kept else Registry(),
        history=changes[::-1][:SHOWN],
        numbers=sorted(known),
        before=before,
        after=after,
        compared=compared,
    )


async def _kept(request: Request) -> list[Registry]:
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await versions(request.app.state.console.connection)
    except (KafkaError, TimeoutError):
        raise Problem(503, "unavailable", "the registry cannot be read from Kafka just now") from None
