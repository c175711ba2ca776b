"""What the routes answer, as the description says it: by the contract's own schemas, which stand beside it."""

from typing import Annotated, Any

from pydantic import BaseModel, WithJsonSchema

from schemas.alert import AlertIssued, DisclosureMade
from schemas.announcement import AnnouncementRecorded
from schemas.heartbeat import HeartbeatBeat
from schemas.receipt import ReceiptAccepted, ReceiptRefused, ReceiptUnchanged
from schemas.topics import ACKS, RELEASES
from schemas.window import WindowScheduled
from services.gateway.door.bodies import ANSWERS, CLOUD_EVENT
from services.gateway.door.trial import Trial

Answers = dict[int | str, dict[str, Any]]


def _known(*kinds: str, within: str = "") -> dict[str, Any]:
    """The schema of events of these types, or of a definition within. (pydantic stumbles over a bare `$ref`.)"""
    return {"anyOf": [{"$ref": f"json/{kind}.json{within}"} for kind in kinds]}


SAID = _known(*(kind.type for kind in (*RELEASES, *ACKS)))
"""What labs and agencies say."""

_TAKEN = (ReceiptAccepted.type, ReceiptUnchanged.type)
_RECEIPT = _known(*_TAKEN, ReceiptRefused.type)
_ALERT = _known(AlertIssued.type)

Announcement = Annotated[
    dict[str, Any], WithJsonSchema(_known(AnnouncementRecorded.type, within="#/$defs/Announcement"))
]
Window = Annotated[dict[str, Any], WithJsonSchema(_known(WindowScheduled.type, within="#/$defs/Window"))]
Receipt = Annotated[dict[str, Any], WithJsonSchema(_RECEIPT)]
Disclosure = Annotated[dict[str, Any], WithJsonSchema(_known(DisclosureMade.type))]
Alert = Annotated[dict[str, Any], WithJsonSchema(_ALERT)]


class Pending(BaseModel):
    """Kafka has the event; its receipt will be at `receipt_url`."""

    event_id: str
    receipt_url: str


LOOKED: Answers = {status: said for status, said in ANSWERS.items() if status in {401, 403, 404, 422, 429, 431, 503}}
"""The refusals of whoever only looks."""

ANSWERED: Answers = LOOKED | {
    200: {"description": "the first answer to the event", "content": {CLOUD_EVENT: {"schema": _RECEIPT}}}
}
"""A receipt that was asked for."""

SPOKEN: Answers = ANSWERS | {
    200: {
        "description": "its receipt, that was waited for; of a dry run, what would come of it",
        "model": Trial,
        "content": {CLOUD_EVENT: {"schema": _known(*_TAKEN)}},
    },
    202: {"description": "Kafka has the event; its receipt will follow", "model": Pending},
}
"""An event that was handed to the edge."""

_SENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "of an alert: send the last one as `Last-Event-ID` to go on"},
        "event": {"enum": [AlertIssued.type, HeartbeatBeat.type]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": _known(AlertIssued.type, HeartbeatBeat.type),
        },
    },
}
STREAMED: Answers = LOOKED | {
    200: {"description": "alerts one by one, without end", "content": {"text/event-stream": {"schema": _SENT}}}
}
