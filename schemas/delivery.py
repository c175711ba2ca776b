"""What is to be delivered on push endpoints, and what came of it.

`deliveries` is keyed by endpoint (`<agency>/<endpoint>`), `delivery-outcomes` by release id.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.alert import AlertIssued
from schemas.endpoint import Channel, Endpoint, EndpointId, Webhook
from schemas.envelope import Data, derived_id
from schemas.values import AlertKind, Instant, Line, ParticipantId, Tier, Uuid

Failure = Literal[
    "unreachable",  # no connection
    "forbidden-address",  # the guard let no connection be made
    "tls",  # the server's certificate was not taken, or ours by it
    "timeout",
    "protocol",  # what came back was no answer
    "throttled",  # 429, or SMTP's 4.7.x
    "server-error",  # 5xx, or a mail server that says later
    "redirected",  # redirects are not followed
    "refused",  # another 4xx, or a mail server that says never
    "gone",  # 410, or an unknown mailbox
    "misconfigured",  # a secret or a certificate cannot be read
    "internal",  # an error of Herald's own
]
PERMANENT: frozenset[Failure] = frozenset({"forbidden-address", "tls", "redirected", "refused", "gone"})
"""Trying the same again would get the same."""

Abandon = Literal["superseded", "acknowledged", "refused", "disabled", "removed", "backlog-full", "moot"]
Notice = Literal["test", "disabled", "alive"]


def delivery_id(alert_id: str, agency: str, endpoint: str) -> str:
    """The id of one alert on one endpoint."""
    return derived_id("delivery", alert_id, agency, endpoint)


def endpoint_key(agency: str, endpoint: str) -> str:
    """The key of an endpoint: neither part holds a slash."""
    return f"{agency}/{endpoint}"


def tellable(alert: AlertIssued, endpoint: Endpoint) -> AlertIssued:
    """An alert as an endpoint may be told it: its content only a webhook that is to have it, and never of TLP:RED."""
    is_full = isinstance(endpoint, Webhook) and endpoint.content == "full" and alert.tlp != "TLP:RED"
    return alert if is_full else alert.model_copy(update={"content": None})


class _ToEndpoint(Data):
    agency: ParticipantId
    endpoint: EndpointId

    def subject(self) -> str:
        return endpoint_key(self.agency, self.endpoint)

    def topics(self) -> tuple[str, ...]:
        return ("deliveries",)


class DeliveryRequested(_ToEndpoint):
    """An alert is to be delivered here. It carries what this endpoint may be told, and no more."""

    type: ClassVar[str] = "herald.delivery.requested.v1"

    delivery_id: Uuid
    tier: Tier
    alert: AlertIssued
    routine: bool = Field(default=False, description="may wait for the end of quiet hours")
    speaks_of: Instant | None = Field(default=None, description="what is routine waits until then at the latest")
    requested_at: Instant

    def again(self, endpoint: Endpoint, now: datetime) -> "DeliveryRequested":
        """The same once more, by its id, at once; it carries no more than the endpoint may be told by now."""
        update = {"alert": tellable(self.alert, endpoint), "routine": False, "speaks_of": None, "requested_at": now}
        return self.model_copy(update=update)


class DeliveryCancelled(_ToEndpoint):
    """What is still pending here of this release, up to this sequence, is no longer to be delivered."""

    type: ClassVar[str] = "herald.delivery.cancelled.v1"

    release_id: Uuid
    sequence: int = Field(ge=1)
    reason: Literal["superseded", "acknowledged"]


class EndpointPaused(_ToEndpoint):
    """An operator pauses an endpoint. A pause always has an end."""

    type: ClassVar[str] = "herald.endpoint.paused.v1"

    until: Instant


class EndpointResumed(_ToEndpoint):
    """An operator ends a pause, or lets a disabled endpoint be tried again."""

    type: ClassVar[str] = "herald.endpoint.resumed.v1"


class DeliveryRetried(_ToEndpoint):
    """An operator, or the agency, wants a pending or abandoned delivery tried now."""

    type: ClassVar[str] = "herald.delivery.retried.v1"

    delivery_id: Uuid


class NoticeRequested(_ToEndpoint):
    """A message about no release: a test, that another endpoint is disabled, or the daily line that all is well."""

    type: ClassVar[str] = "herald.notice.requested.v1"

    notice_id: Uuid
    notice: Notice
    about: EndpointId
    requested_at: Instant


class _Outcome(Data):
    agency: ParticipantId
    endpoint: EndpointId
    channel: Channel | None = Field(default=None, description="absent: the endpoint is not in the registry any more")

    def topics(self) -> tuple[str, ...]:
        return ("delivery-outcomes",)


class _DeliveryOutcome(_Outcome):
    delivery_id: Uuid
    release_id: Uuid
    alert_id: Uuid
    sequence: int
    kind: AlertKind
    exercise: bool
    attempts: int = Field(ge=0, description="made until now, this one among them")
    at: Instant


Seconds = Annotated[float, Field(ge=0)]


class DeliverySucceeded(_DeliveryOutcome):
    """The endpoint has taken it."""

    type: ClassVar[str] = "herald.delivery.succeeded.v1"

    requested_at: Instant
    seconds: Seconds = Field(description="that the attempt took")
    answer: Line | None = Field(default=None, description="what the other side said, in short")


class DeliveryFailed(_DeliveryOutcome):
    """An attempt came to nothing; there will be another."""

    type: ClassVar[str] = "herald.delivery.failed.v1"

    reason: Failure
    seconds: Seconds
    answer: Line | None = None
    retry_at: Instant
    exhausted: bool = Field(default=False, description="the schedule has come to its end: from here on once a day")


class DeliveryAbandoned(_DeliveryOutcome):
    """It will not be tried again."""

    type: ClassVar[str] = "herald.delivery.abandoned.v1"

    reason: Abandon
    failure: Failure | None = Field(default=None, description="of the last attempt, if it ended with that")
    seconds: Seconds | None = Field(default=None, description="that this attempt took")
    answer: Line | None = None


class _AboutEndpoint(_Outcome):
    """Of no release: keyed by the endpoint."""

    def subject(self) -> str:
        return endpoint_key(self.agency, self.endpoint)


class NoticeSettled(_AboutEndpoint):
    """What came of a notice: taken, or why it was not."""

    type: ClassVar[str] = "herald.notice.settled.v1"

    notice_id: Uuid
    notice: Notice
    at: Instant
    seconds: Seconds
    failure: Failure | None = Field(default=None, description="absent: the endpoint has taken it")
    answer: Line | None = None


class _EndpointOutcome(_AboutEndpoint):
    at: Instant
    since: Instant = Field(description="the first failure of the series")


class EndpointFailing(_EndpointOutcome):
    """Its breaker has opened: after repeated failures it is probed once in a while."""

    type: ClassVar[str] = "herald.endpoint.failing.v1"

    reason: Failure


class EndpointRecovered(_EndpointOutcome):
    """Its breaker has closed again."""

    type: ClassVar[str] = "herald.endpoint.recovered.v1"


class EndpointDisabled(_EndpointOutcome):
    """It has failed for so long that nothing is tried any more, until an operator resumes it."""

    type: ClassVar[str] = "herald.endpoint.disabled.v1"
