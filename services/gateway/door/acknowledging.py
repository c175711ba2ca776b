"""The page behind an acknowledgement link. Opening it changes nothing; only its button answers."""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from schemas.acknowledgement import AcknowledgementSubmitted
from schemas.alert import AlertIssued
from schemas.envelope import reader
from services.gateway.door.asking import Question, question
from services.gateway.door.bodies import raw
from services.gateway.door.edge import Edge, event
from services.gateway.door.heard import heard
from services.gateway.door.identity import Identity
from services.gateway.door.page import page
from services.gateway.door.problem import Problem
from services.kernel.link import PATH

router = APIRouter()

ANSWER_SECONDS = 10.0
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 10
_read = reader(AlertIssued)


@router.head(PATH + "{token}", include_in_schema=False)
@router.get(PATH + "{token}", include_in_schema=False)
async def show(request: Request, token: str) -> HTMLResponse:
    """Shows the window as it stands now, and asks."""
    try:
        identity, asking = await _asking(request, token)
        about = {"release_ids": (asking.shown.release_id,), "alert_ids": (asking.shown.alert_id,)}
        await request.app.state.audit.write(request.state.request_id, identity, "alert.read", **about)
    except Problem as problem:
        return _refused(request, problem)
    registry, content = request.app.state.directory.registry, asking.shown.content
    lab = registry.labs.get(content.lab) if content else None
    named = lab.name if lab else content.lab if content else None
    agency = registry.agencies[identity.participant]
    return page(request, "acknowledge.html", asking=asking, alert=asking.shown, agency=agency, lab=named)


@router.post(PATH + "{token}", include_in_schema=False)
async def acknowledge(request: Request, token: str) -> HTMLResponse:
    """Answers the alert that was shown. A second click says the same again, which changes nothing."""
    try:
        identity, asking = await _asking(request, token)
        said = await _form(request)
        if said.get("alert_id") not in asking.alert_ids:
            raise Problem(400, "incomplete", "What came is not what this page sends. Open the link again.")
        said["release_id"] = asking.shown.release_id
        edge: Edge = request.app.state.edge
        submission = heard(request) | event(identity, AcknowledgementSubmitted.type, said, None)
        submitted = await edge.submit(identity, submission, request.state.request_id, fresh=True)
        receipt = await edge.receipt(identity, submitted, ANSWER_SECONDS)
    except Problem as problem:
        return _refused(request, problem)
    warnings = receipt["data"].get("warnings", []) if receipt else []
    return page(
        request,
        "answered.html",
        200 if receipt else 202,
        disposition=said["disposition"],
        recorded=receipt is not None,
        warnings=warnings,
        exercise=asking.shown.exercise,
    )


async def _asking(request: Request, token: str) -> tuple[Identity, Question]:
    """Who holds the link, and what it asks now. Raises Problem."""
    links, reading = request.app.state.links, request.app.state.reading
    address = request.client.host if request.client else ""
    gatekeeper = request.app.state.gatekeeper
    request.state.headers.update(gatekeeper.admit(address))
    agency, link = links.opened(token)
    # Counted apart: whoever has a link keeps its agency from nothing else.
    request.state.afterwards.enter_context(gatekeeper.open_request(f"{agency} by link"))
    request.state.participant = agency
    told = [_read.validate_json(text, extra="ignore").data for text in await reading.told(agency, link.release_id)]
    if not any(one.alert_id == link.alert_id for one in told):
        text = "Herald is still reading what it has told you. Open the link again in a moment."
        raise Problem(503, "not_read_yet", text, headers={"Retry-After": "5"})
    receipts = await reading.receipts(agency, link.release_id)
    asking = question(told, receipts, link.life, request.app.state.clock.now())
    if asking is None:
        raise Problem(410, "another_window", "A new window of that release has begun since, with alerts of its own.")
    return Identity(agency, "agency", link.alert_id, "link"), asking


async def _form(request: Request) -> dict[str, str]:
    """What the page's form said. Raises Problem."""
    text = (await raw(request, FORM)).decode(errors="replace")
    try:
        given = parse_qs(text, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Problem(400, "incomplete", f"a form has at most {MOST_FIELDS} fields") from None
    return {name: given[name][0] for name in ("alert_id", "disposition", "by") if name in given}


def _refused(request: Request, problem: Problem) -> HTMLResponse:
    request.state.headers.update(problem.headers)
    return page(request, "refused.html", problem.status, problem=problem)
