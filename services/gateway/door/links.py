"""Acknowledgement links at the door: an agency has one made for an alert of its own; who comes with one is let in."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from schemas.alert import AlertIssued
from schemas.values import Instant, Uuid
from services.gateway.door.bodies import ANSWERS
from services.gateway.door.directory import Directory
from services.gateway.door.identity import Agency
from services.gateway.door.problem import Problem
from services.kernel import link
from services.kernel.clock import Clock
from services.kernel.link_key import link_key
from services.kernel.settings import Settings

router = APIRouter()


class AcknowledgementLink(BaseModel):
    """Opens a page that shows the window and asks. Whoever has it can look and answer."""

    url: str
    expires_at: Instant = Field(description="not taken from then on")


class Links:
    """Makes links and tells whose they are."""

    def __init__(self, settings: Settings, directory: Directory, clock: Clock) -> None:
        self._key = link_key(settings)
        self._address = settings.door.address
        self._directory = directory
        self._clock = clock

    def made(self, alert: AlertIssued) -> AcknowledgementLink:
        """A link for an alert. Raises Problem 503: nobody has said where others reach the door."""
        if self._address is None:
            raise Problem(503, "no_public_url", "the operator has not set HERALD_DOOR__PUBLIC_URL: no link can be made")
        new = link.link_to(alert, self._clock.now())
        return AcknowledgementLink(
            url=link.written(new, alert.agency, self._key, self._address), expires_at=new.expires_at
        )

    def opened(self, token: str) -> tuple[str, link.Link]:
        """Whose link it is, and the link. Raises Problem 404 or 410."""
        registry = self._directory.registry
        found = link.read(token, (*registry.agencies, *registry.offboarded), self._key)
        if found is None:
            raise Problem(
                404, "unknown_link", "It was cut short or changed on its way, or it was never one of Herald's."
            )
        agency, opened = found
        revoked_at = self._directory.tokens.links_revoked.get(agency)
        if agency in registry.offboarded or (revoked_at is not None and opened.made_at <= revoked_at):
            raise Problem(410, "link_revoked", "It was revoked. Your alerts are where they always are.")
        if opened.expires_at <= self._clock.now():
            raise Problem(410, "link_expired", f"It was taken for {link.LASTS.days} days. Your alerts are still there.")
        return agency, opened


@router.post("/v1/alerts/{alert_id}/link", responses=ANSWERS)
async def make(request: Request, agency: Agency, alert_id: Annotated[Uuid, Path()]) -> AcknowledgementLink:
    """Makes a link to a page that shows the alert's window and takes an answer, for those who only have a browser."""
    state: Any = request.app.state
    alert = await state.reading.alert(agency.participant, alert_id)
    if alert is None:
        raise Problem(404, "unknown_alert", "no alert of yours has this id")
    await state.audit.shown(request.state.request_id, agency, "link.make", [alert])
    issued = AlertIssued.model_validate_json(json.dumps(alert["data"]), extra="ignore")
    made: AcknowledgementLink = state.links.made(issued)
    return made
