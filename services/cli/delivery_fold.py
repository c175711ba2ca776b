"""What became of each delivery, folded from `deliveries` and `delivery-outcomes`. Pure; nothing of an alert's content.

Two topics have no order between them but that of their records' append times, which the brokers stamp.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.delivery import (
    DeliveryAbandoned,
    DeliveryFailed,
    DeliveryRequested,
    DeliveryRetried,
    DeliverySucceeded,
    EndpointDisabled,
    EndpointPaused,
    EndpointRecovered,
    EndpointResumed,
    endpoint_key,
)


class Status(StrEnum):
    """How a delivery is."""

    PENDING = "pending"
    FAILING = "failing"
    TAKEN = "taken"
    ABANDONED = "abandoned"


_AFTER = {
    DeliverySucceeded.type: Status.TAKEN,
    DeliveryFailed.type: Status.FAILING,
    DeliveryAbandoned.type: Status.ABANDONED,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt; or, with `seconds` and `failure` None, that it was abandoned without one."""

    appended_ms: int
    status: Status
    at: str
    seconds: float | None
    failure: str | None
    ending: str | None
    answer: str | None
    retry_at: str | None

    @property
    def is_attempt(self) -> bool:
        """Whether something was sent, or was to be."""
        return self.status is not Status.ABANDONED or self.failure is not None

    @property
    def fields(self) -> dict[str, Any]:
        """What is shown of it."""
        return {
            "at": self.at,
            "outcome": "failed" if self.status is Status.FAILING else self.status.value,
            "seconds": self.seconds,
            "reason": self.failure or self.ending,
            "answer": self.answer,
            "abandoned_as": self.ending,
        }


@dataclass(slots=True)
class Delivery:
    """One alert on one endpoint. `request`: the last request as it was written; None: it is not kept any more."""

    delivery_id: str
    agency: str
    endpoint: str
    release_id: str
    alert_id: str
    kind: str
    sequence: int
    exercise: bool
    channel: str | None = None
    requested_at: str | None = None
    requested_ms: int = 0
    request: bytes | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def where(self) -> str:
        """`<agency>/<endpoint>`."""
        return endpoint_key(self.agency, self.endpoint)

    @property
    def status(self) -> Status:
        """As it stands: a request behind the last outcome begins it anew."""
        if not self.outcomes or self.outcomes[-1].appended_ms < self.requested_ms:
            return Status.PENDING
        return self.outcomes[-1].status

    @property
    def attempts(self) -> int:
        """Attempts that were made, over all requests."""
        return sum(outcome.is_attempt for outcome in self.outcomes)


class Account:
    """Every delivery whose id begins as given. `begins` also decides whether requests are kept as written."""

    def __init__(self, begins: str | None = None) -> None:
        self.deliveries: dict[str, Delivery] = {}
        self._begins = begins
        self._paused: dict[str, datetime | None] = {}
        self._resumed: dict[str, int] = {}
        self._disabled: dict[str, tuple[int, str | None]] = {}
        self._retried: dict[str, tuple[int, str]] = {}
        self._newest: dict[tuple[str, str, str], tuple[int, str]] = {}

    def ask(self, value: bytes, appended_ms: int) -> None:
        """A record of `deliveries`."""
        event = json.loads(value)
        data, kind = event["data"], event["type"]
        if kind == DeliveryRequested.type:
            self._request(data, value, appended_ms)
        elif kind == DeliveryRetried.type:
            self._retried[data["delivery_id"]] = (appended_ms, event["time"])
        elif kind in {EndpointPaused.type, EndpointResumed.type}:
            until = datetime.fromisoformat(data["until"]) if kind == EndpointPaused.type else None
            where = endpoint_key(data["agency"], data["endpoint"])
            self._paused[where] = until
            if kind == EndpointResumed.type:
                self._resumed[where] = appended_ms

    def settle(self, value: bytes, appended_ms: int) -> None:
        """A record of `delivery-outcomes`."""
        event = json.loads(value)
        data, status = event["data"], _AFTER.get(event["type"])
        if event["type"] in {EndpointDisabled.type, EndpointRecovered.type}:
            at = data["at"] if event["type"] == EndpointDisabled.type else None
            self._disabled[endpoint_key(data["agency"], data["endpoint"])] = (appended_ms, at)
        if status is None or not data["delivery_id"].startswith(self._begins or ""):
            return
        known = self._known(data["delivery_id"], data["endpoint"], data)
        known.channel = data.get("channel")
        failure = data.get("failure") if status is Status.ABANDONED else data.get("reason")
        known.outcomes.append(
            Outcome(
                appended_ms,
                status,
                data["at"],
                data.get("seconds"),
                failure,
                data["reason"] if status is Status.ABANDONED else None,
                data.get("answer"),
                data.get("retry_at"),
            )
        )

    def paused_until(self, where: str, now: datetime) -> datetime | None:
        """Until when an endpoint is paused."""
        until = self._paused.get(where)
        return until if until is not None and until > now else None

    def disabled_at(self, where: str) -> str | None:
        """Since when nothing is tried on an endpoint any more, until it is resumed."""
        since_ms, at = self._disabled.get(where, (0, None))
        return at if since_ms > self._resumed.get(where, -1) else None

    def next_try(self, one: Delivery, now: datetime) -> datetime | None:
        """The earliest instant of the next attempt, as far as the topics tell; None: there is none."""
        if one.status not in {Status.PENDING, Status.FAILING}:
            return None
        last = one.outcomes[-1] if one.status is Status.FAILING else None
        planned, since = (last.retry_at, last.appended_ms) if last else (one.requested_at, one.requested_ms)
        retried_ms, retried_at = self._retried.get(one.delivery_id, (-1, None))
        if retried_ms >= since:
            planned = retried_at
        found = datetime.fromisoformat(planned) if planned else now
        return max(found, self.paused_until(one.where, now) or found)

    def newer(self, one: Delivery) -> str | None:
        """The delivery of a later alert of the same release on the same endpoint, if one was ever asked for."""
        sequence, newest = self._newest.get((one.agency, one.endpoint, one.release_id), (0, ""))
        return newest if sequence > one.sequence else None

    def _request(self, data: dict[str, Any], value: bytes, appended_ms: int) -> None:
        alert, endpoint, name = data["alert"], data["endpoint"], data["delivery_id"]
        release = (data["agency"], endpoint, alert["release_id"])
        self._newest[release] = max(self._newest.get(release, (0, "")), (alert["sequence"], name))
        if not name.startswith(self._begins or ""):
            return
        known = self._known(name, endpoint, alert)
        known.requested_at, known.requested_ms = data["requested_at"], appended_ms
        if self._begins is not None:
            known.request = value

    def _known(self, name: str, endpoint: str, alert: dict[str, Any]) -> Delivery:
        """`alert`: the alert, or an outcome, which names the same of it."""
        if name not in self.deliveries:
            named = {key: alert[key] for key in ("agency", "release_id", "alert_id", "kind", "sequence", "exercise")}
            self.deliveries[name] = Delivery(delivery_id=name, endpoint=endpoint, **named)
        return self.deliveries[name]
