"""What is sent to an endpoint in one attempt, and what came of it."""

from dataclasses import dataclass, field
from datetime import datetime

from schemas.alert import AlertIssued
from schemas.delivery import Failure, NoticeRequested


@dataclass(frozen=True, slots=True)
class Letter:
    """One message: an alert, several that had to wait, or a notice. `letter_id` is the same at each attempt.

    An alert has its content only where the endpoint may be told it. `links` are acknowledgement links by alert id, as
    far as the deployment has a public address. `traceparent` is the attempt's.
    """

    letter_id: str
    agency: str
    agency_name: str
    time_zone: str
    endpoint: str
    written_at: datetime
    alerts: tuple[AlertIssued, ...] = ()
    notice: NoticeRequested | None = None
    links: dict[str, str] = field(default_factory=dict)
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it: `failure` None: taken. `answer` is for people, one line of at most 200 characters."""

    seconds: float
    failure: Failure | None = None
    answer: str | None = None
    retry_after: float | None = None
    """Seconds, as the other side asks."""
