"""Writes events to a participant's edge topic, and waits for the receipts. There is one way in: this is no other."""

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.acknowledgement import AcknowledgementSubmitted
from schemas.audit import Action
from schemas.envelope import CONTENT_TYPE
from schemas.receipt import ReceiptAccepted, ReceiptRefused
from schemas.release import ReleaseAnnounced, ReleaseWithdrawn
from schemas.trace import carried
from schemas.values import MAX_EVENT_BYTES
from services.gateway import decide
from services.gateway.decide import Forwarded
from services.gateway.door.audit import Audit
from services.gateway.door.directory import Directory
from services.gateway.door.ends import Ends
from services.gateway.door.identity import Identity
from services.gateway.door.problem import refused, unavailable
from services.gateway.door.writer import Writer
from services.gateway.model.projector import Projector
from services.gateway.model.reading import Reading
from services.gateway.parse import Parsed, Unreadable, attributes, too_large, written
from services.kernel.connection import Connection

READING_SECONDS = 2.0
_HEADERS = [("content-type", CONTENT_TYPE.encode())]
_FAMILIES = {"lab": "releases", "agency": "acks"}
_SOURCES = {"lab": "labs", "agency": "agencies"}
_ACTIONS: dict[str, Action] = {
    ReleaseAnnounced.type: "release.announce",
    ReleaseWithdrawn.type: "release.withdraw",
    AcknowledgementSubmitted.type: "alert.acknowledge",
}


@dataclass(frozen=True, slots=True)
class Submitted:
    """An event that Kafka has. Its receipt lies at `receipts_from` or behind it.

    What follows from it carries its `release_id` and `trace_id`.
    """

    event_id: str
    receipts_from: int
    release_id: str
    trace_id: str


def readable(body: bytes) -> dict[str, Any]:
    """A body as strictly read as a record of an edge. Raises Problem."""
    found = attributes(body)
    if isinstance(found, Unreadable):
        raise refused((found.reason,))
    return found


def event(identity: Identity, kind: str, data: dict[str, Any], event_id: str | None) -> dict[str, Any]:
    """A CloudEvent of this identity around what it says."""
    return {
        "specversion": "1.0",
        "id": event_id or str(uuid4()),
        "source": f"/{_SOURCES[identity.role]}/{identity.participant}",
        "type": kind,
        "data": data,
    }


class Edge:
    """What is said to the edge, and the receipts that answer what it wrote."""

    def __init__(
        self,
        connection: Connection,
        writer: Writer,
        directory: Directory,
        projector: Projector,
        reading: Reading,
        audit: Audit,
        stopping: asyncio.Event,
    ) -> None:
        self._connection = connection
        self._audit = audit
        self._stopping = stopping
        self._directory = directory
        self._projector = projector
        self._reading = reading
        self._writer = writer
        self._ends = Ends(connection)

    async def start(self) -> None:
        """Connects."""
        await self._ends.start()

    async def stop(self) -> None:
        """Disconnects."""
        await self._ends.stop()

    async def submit(self, identity: Identity, said: dict[str, Any], request_id: str, fresh: bool) -> Submitted:
        """Writes an event, its audit record first; when it returns, Kafka has both on all replicas.

        `fresh`: its id was made just now, so that no receipt of old can bear it.

        Raises Problem for what the edge would refuse by form or origin (nothing is written then), and 503 when Kafka
        does not confirm it: the event may or may not stand there, and saying the same again is harmless.
        """
        found, taken = self._let_in(identity, said)
        taken_as = taken.id
        topic = self._connection.topic(_topic(identity))
        receipts = TopicPartition(self._connection.topic(f"receipts.{identity.participant}"), 0)
        try:
            start = 0 if fresh else await self._ends.of(receipts)
            await self._note(identity, taken, taken_as, request_id)
            await self._writer.write(topic, found.canonical, headers=_HEADERS, partition=0)
        except (KafkaError, TimeoutError):
            text = "Kafka did not confirm the event; send the same again, with the same Idempotency-Key"
            raise unavailable(text) from None
        return Submitted(str(said["id"]), start, taken.release_id, carried(found.trace, taken_as)[3:35])

    def check(self, identity: Identity, said: dict[str, Any]) -> Forwarded:
        """The event as the edge would let it in; nothing is written. Raises Problem with what it would refuse."""
        return self._let_in(identity, said)[1]

    async def alert(self, agency: str, alert_id: str) -> dict[str, Any] | None:
        """An alert of an agency. One that Kafka has, and the door has not read yet, is waited for a moment.

        An agency may have it from its topic, and answers as soon as it does.
        """
        found = await self._reading.alert(agency, alert_id)
        if found is not None:
            return found
        until = time.monotonic() + READING_SECONDS
        source = TopicPartition(self._connection.topic(f"alerts.{agency}"), 0)
        try:
            end = await self._ends.of(source)
        except KafkaError:
            text = "Kafka does not say just now whether there is such an alert; try again"
            raise unavailable(text) from None
        while time.monotonic() < until and not await self._projector.has_read(source, end):
            await self._projector.changed(0.1)
        return await self._reading.alert(agency, alert_id)

    async def receipt(self, identity: Identity, submitted: Submitted, seconds: float) -> dict[str, Any] | None:
        """The receipt of an event, waited for at most so long. Raises Problem when it is a refusal."""
        found = await self.found(identity, submitted.event_id, submitted.receipts_from, seconds)
        if found is not None and found["type"] == ReceiptRefused.type:
            raise refused(ReceiptRefused.model_validate_json(json.dumps(found["data"]), extra="ignore").reasons)
        return found

    async def found(self, identity: Identity, event_id: str, start: int, seconds: float) -> dict[str, Any] | None:
        """The first answer to an event at or behind an offset, refusal or not; waited for at most so long.

        Waited for as well: that what it accepted can be looked at, since topics are projected one by one.
        """
        until = time.monotonic() + seconds
        while True:
            text = await self._reading.receipt(identity.participant, event_id, start)
            answer: dict[str, Any] | None = json.loads(text) if text is not None else None
            left = until - time.monotonic()
            over = left <= 0 or self._stopping.is_set()
            if over or (answer is not None and await self._stands(identity, answer)):
                return answer
            await self._projector.changed(min(left, 1.0))

    async def _stands(self, identity: Identity, receipt: dict[str, Any]) -> bool:
        if identity.role != "lab" or receipt["type"] != ReceiptAccepted.type:
            return True
        said = receipt["data"]
        known = await self._reading.announcement(identity.participant, said["release_id"])
        return known is not None and known["revision"] >= said["revision"]

    async def _note(self, identity: Identity, taken: Forwarded, taken_as: str, request_id: str) -> None:
        data = taken.event.data
        about = {"alert_ids": (data.alert_id,)} if isinstance(data, AcknowledgementSubmitted) else {}
        await self._audit.write(
            request_id, identity, _ACTIONS[data.type], release_ids=(taken.release_id,), event=taken_as, **about
        )

    def _let_in(self, identity: Identity, said: dict[str, Any]) -> tuple[Parsed, Forwarded]:
        found = written(said)
        if isinstance(found, Parsed) and len(found.canonical) > MAX_EVENT_BYTES:
            found = too_large()
        if isinstance(found, Unreadable):
            raise refused((found.reason,))
        taken = decide.let_in(decide.Edge.of(_topic(identity)), found, self._directory.registry, datetime.now(UTC))
        if isinstance(taken, tuple):
            raise refused(taken)
        return found, taken


def _topic(identity: Identity) -> str:
    return f"{_FAMILIES[identity.role]}.{identity.participant}"
