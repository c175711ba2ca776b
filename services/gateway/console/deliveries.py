"""Deliveries of all agencies, each with its attempts; an operator may have one tried again."""

from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from schemas.values import Uuid
from services.gateway.console.chosen import Chosen
from services.gateway.console.csv_file import csv_file
from services.gateway.console.entrance import SentByOperator, Viewer
from services.gateway.console.sessions import Visitor
from services.gateway.console.shell import render
from services.gateway.door.deliveries import Status
from services.gateway.door.identity import PAGE_PATH
from services.gateway.door.problem import Problem
from services.gateway.model.delivery_reading import Told

router = APIRouter(prefix=PAGE_PATH)

PAGE, MOST = 50, 5000
DeliveryId = Annotated[Uuid, Path()]


class Filter(Chosen):
    """What of it is shown."""

    status: Status | Literal[""] = ""
    agency: Annotated[str, Query(max_length=64)] = ""
    endpoint: Annotated[str, Query(max_length=64)] = ""
    before: Annotated[str, Query(pattern=r"^([0-9]{1,18}\.[0-9a-f-]{36})?$")] = ""


Filters = Annotated[Filter, Query()]


@router.get("/deliveries")
async def deliveries(request: Request, visitor: Viewer, chosen: Filters) -> Response:
    """A page of deliveries."""
    seen = await request.app.state.console.overview.seen()
    found = await _found(request, chosen, PAGE + 1)
    page = found[:PAGE]
    await _shown(request, visitor, page)
    last = ".".join(map(str, page[-1].cursor)) if len(found) > PAGE else None
    return render(
        request,
        "deliveries.html",
        seen=seen,
        page=page,
        names=await _names(request, page),
        chosen=chosen,
        after=last,
        registry=request.app.state.directory.registry,
        statuses=get_args(Status),
    )


@router.get("/deliveries.csv")
async def as_csv(request: Request, visitor: Viewer, chosen: Filters) -> Response:
    """The same as a table."""
    found = await _found(request, chosen, MOST)
    await _shown(request, visitor, found)
    names = ("delivery_id", "release_id", "agency", "endpoint", "kind", "status", "attempts", "requested_at", "last_at")
    lines = [
        {
            **{name: one.request[name] for name in ("delivery_id", "agency", "endpoint", "requested_at")},
            **{name: one.request["alert"][name] for name in ("release_id", "kind")},
            "status": one.status,
            "attempts": one.attempts,
            "last_at": one.last["at"] if one.last else "",
            "answer": one.last["answer"] if one.last else "",
        }
        for one in found
    ]
    return csv_file(request, "deliveries", (*names, "answer"), lines)


@router.get("/deliveries/{delivery_id}")
async def delivery(request: Request, visitor: Viewer, delivery_id: DeliveryId) -> Response:
    """One delivery with every attempt."""
    state = request.app.state
    seen, told = await state.console.overview.seen(), await _one(request, delivery_id)
    await _shown(request, visitor, [told])
    outcomes = await state.console.deliveries.outcomes(delivery_id)
    release_id = told.request["alert"]["release_id"]
    names = await _names(request, [told])
    return render(
        request,
        "delivery.html",
        seen=seen,
        told=told,
        alert=told.request["alert"],
        name=names.get(release_id, release_id),
        outcomes=outcomes,
        asked="asked" in request.query_params,
    )


@router.post("/deliveries/{delivery_id}/retry")
async def retry(request: Request, visitor: Viewer, _: SentByOperator, delivery_id: DeliveryId) -> Response:
    """Has one tried now; what was taken or abandoned is sent again, with the same id."""
    told = await _one(request, delivery_id)
    await request.app.state.replays.ask(visitor, told, request.state.request_id)
    return RedirectResponse(f"{PAGE_PATH}/deliveries/{delivery_id}?asked", 303)


async def _found(request: Request, chosen: Filter, limit: int) -> list[Told]:
    before = None
    if chosen.before:
        first_ms, _, delivery_id = chosen.before.partition(".")
        before = (int(first_ms), delivery_id)
    wanted = {name: getattr(chosen, name) or None for name in ("status", "agency", "endpoint")}
    found: list[Told] = await request.app.state.console.deliveries.page(before, limit, **wanted)
    return found


async def _one(request: Request, delivery_id: str) -> Told:
    told: Told | None = await request.app.state.console.deliveries.one(delivery_id)
    if told is None:
        raise Problem(404, "unknown_delivery", "no delivery has this id")
    return told


async def _names(request: Request, page: list[Told]) -> dict[str, str]:
    """Of each release of a page, its key for people."""
    return dict(await request.app.state.console.overview.names({one.request["alert"]["release_id"] for one in page}))


async def _shown(request: Request, visitor: Visitor, page: list[Told]) -> None:
    alerts = [{"data": one.request["alert"]} for one in page]
    await request.app.state.audit.shown(request.state.request_id, visitor, "delivery.read", alerts)
