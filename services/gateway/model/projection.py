"""What a record changes in the tables. Pure: the same records in the same order give the same rows."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable

from schemas.acknowledgement import AcknowledgementRecorded
from schemas.watchdog import AGENCY, LAB
from services.gateway.model.delivery_rows import OUTCOMES, REQUESTS, of_outcome, of_request
from services.gateway.model.tables import ANNOUNCEMENTS, ANSWERS, EDGE_EVENTS, EVENTS, WINDOWS

INTERNAL = ("announcements", "windows", "acknowledgements", REQUESTS, OUTCOMES)
"""By release or by delivery; the edges `alerts.<agency>` and `receipts.<participant>` are kept event by event."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record of a topic, by the contract's name of it."""

    topic: str
    partition: int
    offset: int
    appended_ms: int
    value: bytes


def changes(record: Recorded) -> list[Executable]:
    """The statements that take a record over. Raises ValueError or KeyError for what is no event of its topic.

    The watchdog's rounds are in no table: nobody looks for them there, and there is no end of them.
    """
    event = json.loads(record.value)
    if record.topic == "announcements":
        announcement = event["data"]["announcement"]
        if announcement["lab"] == LAB:
            return []
        row = {
            "release_id": announcement["release_id"],
            "lab": announcement["lab"],
            "revision": announcement["revision"],
            "withdrawn": event["type"] == "herald.announcement.withdrawn.v1",
            "body": _text(announcement),
        }
        return [*_replaced(ANNOUNCEMENTS, row), _kept(record, event, announcement["release_id"])]
    if record.topic == "windows":
        window = event["data"]["window"]
        if window["lab"] == LAB:
            return []
        row = {name: window[name] for name in ("release_id", "lab", "status", "exercise")}
        row |= {"changed_ms": record.appended_ms, "body": _text(window)}
        return [*_replaced(WINDOWS, row), _kept(record, event, window["release_id"])]
    if record.topic == "acknowledgements":
        if event["data"]["agency"] == AGENCY:
            return []
        event["data"].pop("by", None)
        kept = _kept(record, event, event["data"]["release_id"])
        if event["type"] != AcknowledgementRecorded.type:
            return [kept]  # silence
        row = {column.name: event["data"][column.name] for column in ANSWERS.columns}
        return [*_replaced(ANSWERS, row), kept]
    if record.topic == REQUESTS:
        return of_request(event, record.appended_ms)
    if record.topic == OUTCOMES:
        return of_outcome(event, record.partition, record.offset, record.appended_ms)
    row = {
        "topic": record.topic,
        "offset": record.offset,
        "id": event["id"],
        "type": event["type"],
        "release_id": event["data"].get("release_id"),
        "event_id": event["data"].get("event_id"),
        "appended_ms": record.appended_ms,
        "body": record.value.decode(),
    }
    return [EDGE_EVENTS.insert().values(row)]


def _kept(record: Recorded, event: dict[str, Any], release_id: str) -> Executable:
    """The event itself, for the story of its release."""
    row = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "release_id": release_id,
        "type": event["type"],
        "appended_ms": record.appended_ms,
        "body": _text(event),
    }
    return EVENTS.insert().values(row)


def _replaced(table: Any, row: dict[str, Any]) -> list[Executable]:
    # Two statements that every database knows, inside one transaction.
    same = [column == row[column.name] for column in table.primary_key]
    return [table.delete().where(*same), table.insert().values(row)]


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
