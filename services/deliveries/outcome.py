"""The events that say what came of a delivery: made from what was pending."""

from datetime import datetime
from typing import Any

from schemas.alert import AlertIssued
from schemas.delivery import (
    Abandon,
    DeliveryAbandoned,
    DeliveryFailed,
    DeliverySucceeded,
    Failure,
    NoticeSettled,
)
from schemas.endpoint import Channel
from services.deliveries.letter import Attempt
from services.deliveries.state import EndpointState, Pending


class Outcomes:
    """Of one endpoint at one instant. `channel` None: it is not in the registry any more.

    `name` is that under which it was pending: the id of the delivery, or of the notice.
    """

    def __init__(self, state: EndpointState, channel: Channel | None, now: datetime) -> None:
        self.where: dict[str, Any] = {"agency": state.agency, "endpoint": state.endpoint, "channel": channel}
        self._now = now

    def succeeded(self, name: str, one: Pending, attempt: Attempt) -> DeliverySucceeded | NoticeSettled:
        """It was taken."""
        if one.alert is None:
            return self.settled(one, attempt)
        return DeliverySucceeded(
            **self._of(name, one.alert, one.attempts),
            requested_at=one.requested_at,
            seconds=attempt.seconds,
            answer=attempt.answer,
        )

    def failed(
        self, name: str, one: Pending, attempt: Attempt, failure: Failure, retry_at: datetime, exhausted: bool
    ) -> DeliveryFailed | NoticeSettled:
        """It was not taken, and there will be another attempt."""
        if one.alert is None:
            return self.settled(one, attempt)
        return DeliveryFailed(
            **self._of(name, one.alert, one.attempts),
            reason=failure,
            seconds=attempt.seconds,
            answer=attempt.answer,
            retry_at=retry_at,
            exhausted=exhausted,
        )

    def abandoned(
        self, name: str, one: Pending, reason: Abandon, attempt: Attempt | None = None
    ) -> DeliveryAbandoned | NoticeSettled:
        """It will not be tried again."""
        if one.alert is None:
            return self.settled(one, attempt or Attempt(0, "misconfigured", f"not sent: {reason}"))
        return DeliveryAbandoned(
            **self._of(name, one.alert, one.attempts),
            reason=reason,
            failure=attempt.failure if attempt else None,
            seconds=attempt.seconds if attempt else None,
            answer=attempt.answer if attempt else None,
        )

    def settled(self, one: Pending, attempt: Attempt) -> NoticeSettled:
        """What came of a notice."""
        assert one.notice is not None  # noqa: S101 - it is an alert or a notice
        return NoticeSettled(
            **self.where,
            notice_id=one.notice.notice_id,
            notice=one.notice.notice,
            at=self._now,
            seconds=attempt.seconds,
            failure=attempt.failure,
            answer=attempt.answer,
        )

    def _of(self, name: str, alert: AlertIssued, attempts: int) -> dict[str, Any]:
        return {
            **self.where,
            "delivery_id": name,
            "release_id": alert.release_id,
            "alert_id": alert.alert_id,
            "sequence": alert.sequence,
            "kind": alert.kind,
            "exercise": alert.exercise,
            "attempts": attempts,
            "at": self._now,
        }
