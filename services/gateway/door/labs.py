"""What labs do over HTTP: announce, withdraw, look at their own releases and receipts."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from schemas.release import ReleaseAnnounced, ReleaseWithdrawn
from schemas.values import Disposition, Uuid
from services.gateway.door.answers import (
    ANSWERED,
    LOOKED,
    SAID,
    SPOKEN,
    Announcement,
    Disclosure,
    Pending,
    Receipt,
    Window,
)
from services.gateway.door.bodies import CLOUD_EVENT, LARGEST, json_body, read
from services.gateway.door.edge import Edge, event
from services.gateway.door.heard import heard
from services.gateway.door.identity import Anyone, Identity, Lab
from services.gateway.door.problem import Problem
from services.gateway.door.trial import Found, tried

router = APIRouter()

Wait = Annotated[float, Query(ge=0, le=30, description="seconds to wait for the receipt; 0: 202 at once")]
DryRun = Annotated[bool, Query(description="answers what would come of it, and who would be told; nothing is written")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="the event's id: the same again gets the same receipt",
    ),
]


class Answer(BaseModel):
    """What an agency has answered. It approves nothing."""

    agency: str
    life: int
    disposition: Disposition
    recorded_at: str


class ReleaseView(BaseModel):
    """A lab's own release: what it said last, the window, and everything that it was answered."""

    release_id: str
    withdrawn: bool
    announcement: Announcement
    window: Window | None = Field(description="null: not decided yet")
    receipts: list[Receipt] = Field(description="oldest first")
    disclosures: list[Disclosure] = Field(description="each agency that was told, when, and of what")
    answers: list[Answer] = Field(description="of the agencies that share theirs with labs, oldest first")


@router.post("/v1/releases", responses=SPOKEN, openapi_extra=json_body({"$ref": "json/release-file.json"}))
async def announce(request: Request, lab: Lab, wait: Wait = 0, dry_run: DryRun = False, key: Key = None) -> Response:
    """Announces a release, or what has changed of it: the whole statement each time. The same again is a no-op."""
    data = await read(request)
    return await speak(request, lab, event(lab, ReleaseAnnounced.type, data, key), wait, dry_run, fresh=key is None)


@router.post("/v1/releases/{release_id}/withdrawal", responses=SPOKEN)
async def withdraw(
    request: Request,
    lab: Lab,
    release_id: Annotated[Uuid, Path()],
    wait: Wait = 0,
    dry_run: DryRun = False,
    key: Key = None,
) -> Response:
    """Withdraws a release. It erases nothing; announcing it again is a new life of it."""
    announcement = await request.app.state.reading.announcement(lab.participant, release_id)
    if announcement is None:
        raise Problem(404, "unknown_release", "no release of yours has this id")
    data = {"reference": announcement["statement"]["reference"]}
    return await speak(request, lab, event(lab, ReleaseWithdrawn.type, data, key), wait, dry_run, fresh=key is None)


@router.get("/v1/releases/{release_id}", responses=LOOKED)
async def release(request: Request, lab: Lab, release_id: Annotated[Uuid, Path()]) -> ReleaseView:
    """A release of one's own, its window, its receipts, and each agency that was told, when."""
    reading = request.app.state.reading
    announcement = await reading.announcement(lab.participant, release_id)
    if announcement is None:
        raise Problem(404, "unknown_release", "no release of yours has this id")
    await request.app.state.audit.write(request.state.request_id, lab, "release.read", release_ids=(release_id,))
    receipts = await reading.receipts(lab.participant, release_id)
    agencies = request.app.state.directory.registry.agencies
    sharing = [name for name, agency in agencies.items() if agency.shares_answers]
    return ReleaseView(
        release_id=release_id,
        withdrawn=announcement.pop("withdrawn"),
        announcement=announcement,
        window=await reading.window(lab.participant, release_id),
        receipts=[one for one in receipts if ".receipt." in one["type"]],
        disclosures=[one for one in receipts if ".disclosure." in one["type"]],
        answers=[Answer(**one) for one in await reading.answers(lab.participant, release_id, sharing)],
    )


@router.post("/v1/events", responses=SPOKEN, openapi_extra=json_body(SAID, CLOUD_EVENT))
async def submit(request: Request, anyone: Anyone, wait: Wait = 0, dry_run: DryRun = False) -> Response:
    """Takes a structured CloudEvent, as it would stand on the sender's own topic in Kafka."""
    said = await read(request, CLOUD_EVENT)
    return await speak(request, anyone, said, wait, dry_run)


@router.get("/v1/receipts/{event_id:path}", responses=ANSWERED)
async def receipt(
    request: Request,
    anyone: Anyone,
    event_id: Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")],
    start: Annotated[int, Query(alias="from", ge=0, le=LARGEST, description="as the 202 said")] = 0,
    wait: Wait = 0,
) -> Response:
    """The receipt of an event of one's own, a refusal too. 404 while there is none."""
    found = await request.app.state.edge.found(anyone, event_id, start, wait)
    if found is None:
        raise Problem(404, "no_receipt", "no event of yours with this id has been answered yet")
    await request.app.state.audit.shown(request.state.request_id, anyone, "receipt.read", [found])
    return JSONResponse(found, media_type=CLOUD_EVENT)


async def speak(
    request: Request, identity: Identity, said: dict[str, Any], wait: float, dry_run: bool = False, fresh: bool = False
) -> Response:
    """Hands an event to the edge: 200 with its receipt, a problem when that refuses, 202 when it is still to come."""
    if dry_run:
        return await _try(request, identity, said)
    edge: Edge = request.app.state.edge
    submitted = await edge.submit(identity, heard(request) | said, request.state.request_id, fresh)
    request.state.about = {"release_id": submitted.release_id, "trace_id": submitted.trace_id}
    found = await edge.receipt(identity, submitted, wait) if wait else None
    if found is not None:
        return JSONResponse(found, media_type=CLOUD_EVENT)
    url = f"/v1/receipts/{quote(submitted.event_id)}?from={submitted.receipts_from}"
    pending = Pending(event_id=submitted.event_id, receipt_url=url)
    return Response(pending.model_dump_json(), 202, headers={"Location": url}, media_type="application/json")


async def _try(request: Request, lab: Identity, said: dict[str, Any]) -> Response:
    """What would come of it. It looks at what stands, and tells who would be told: so it is audited as well."""
    state = request.app.state
    taken, reading = state.edge.check(lab, said), state.reading
    if lab.role != "lab":
        raise Problem(422, "invalid", "dry_run: is for what a lab says; an answer to an alert approves nothing anyway")
    release_id = taken.release_id
    await state.audit.write(request.state.request_id, lab, "release.try", release_ids=(release_id,))
    answers = await reading.receipts(lab.participant, release_id)
    found = Found(
        await reading.announcement(lab.participant, release_id),
        await reading.window(lab.participant, release_id),
        [one["data"] for one in answers if ".disclosure." in one["type"]],
    )
    trial = tried(lab.participant, taken.event.data, release_id, found, state.directory.registry, state.clock.now())
    return JSONResponse(trial.model_dump(mode="json", exclude_none=True))
