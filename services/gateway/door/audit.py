"""Writes who changes what through the door, and who is shown what a release says: before it is done, or shown."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Protocol

from aiokafka.errors import KafkaError

from schemas.audit import AccessAudited, Action
from schemas.envelope import encode
from services.gateway.door.problem import Problem
from services.gateway.door.writer import Writer
from services.kernel.clock import Clock
from services.kernel.connection import Connection
from services.kernel.observe import log

TOPIC = "audit"
AT_ONCE = 1000
"""Alerts in one record: as many as a page holds."""


class Known(Protocol):
    """Who acts or looks: a participant, or (None) an operator; `kind` and `token_id` say by what that is known."""

    @property
    def participant(self) -> str | None: ...
    @property
    def kind(self) -> str: ...
    @property
    def token_id(self) -> str: ...


class Audit:
    """Nothing is changed or shown before Kafka has the record of it on all replicas.

    So a record may stand for what then came to nothing, and never the other way round.
    """

    def __init__(self, connection: Connection, writer: Writer, clock: Clock) -> None:
        self._clock = clock
        self._topic = connection.topic(TOPIC)
        self._writer = writer
        self._numbers = count()

    async def shown(self, request_id: str, identity: Known, action: Action, events: Sequence[dict[str, Any]]) -> None:
        """These events are about to be shown: one record for all of them. None: nothing to write."""
        for first in range(0, len(events), AT_ONCE):
            part = [event["data"] for event in events[first : first + AT_ONCE]]
            releases = tuple(dict.fromkeys(data["release_id"] for data in part if "release_id" in data))
            alerts = tuple(data["alert_id"] for data in part if "alert_id" in data)
            if releases:
                await self.write(request_id, identity, action, release_ids=releases, alert_ids=alerts)

    async def write(self, request_id: str, identity: Known, action: Action, **about: Any) -> None:
        """One record; `about`: the rest of its fields. Raises Problem 503: then nothing may be done or shown."""
        now = self._clock.now()
        entry = AccessAudited(
            action=action,
            participant=identity.participant,
            credential=f"{identity.kind}/{identity.token_id}",
            request_id=request_id,
            at=now,
            **about,
        )
        event = entry.stamped(cause=request_id, ordinal=next(self._numbers), source="/services/door", time=now)
        try:
            await self._writer.write(self._topic, encode(event), key=entry.subject().encode(), partition=0)
        except (KafkaError, TimeoutError) as error:
            log.error("not_audited", action=action, request_id=request_id, error=repr(error))
            said = "what is done and read here is audited, and Kafka does not confirm that just now; try again"
            raise Problem(503, "not_audited", said, headers={"Retry-After": "5"}) from None
