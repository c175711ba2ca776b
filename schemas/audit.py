"""Who changed something, or looked at what a release says: one record each, written before it is done or shown."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.envelope import Data
from schemas.values import Instant, Line, ParticipantId, Uuid

Action = Literal[
    # at the door
    "release.announce",
    "release.withdraw",
    "release.try",
    "release.read",
    "alert.read",
    "alert.acknowledge",
    "window.read",
    "link.make",
    "receipt.read",
    "token.exchange",
    "delivery.read",
    "delivery.retry",  # by an operator as well
    # on the operators' page
    "console.login",
    # on an operator's command line
    "registry.apply",
    "participant.offboard",
    "token.issue",
    "token.revoke",
    "links.revoke",
    "credential.issue",
    "credential.rotate",
    "credential.revoke",
    "dead-letter.replay",
    "dead-letter.drop",
    "dead-letter.read",
    "endpoint.pause",
    "endpoint.resume",
    "endpoint.test",
    "drill.start",
    "release.export",
]


class AccessAudited(Data):
    """Somebody was let do this, or see this. The record comes first: it may stand for what then came to nothing."""

    type: ClassVar[str] = "herald.access.audited.v1"

    action: Action
    participant: ParticipantId | None = Field(default=None, description="who; absent: an operator")
    credential: Line = Field(description="as which: `token/<id>`, `link/<alert id>`, `oidc/<hash>`, `kafka/<user>`")
    request_id: Uuid = Field(description="of the request, or of the command; all that one stream sends has one")
    release_ids: Annotated[tuple[Uuid, ...], Field(max_length=1000)] = Field(
        default=(), description="the releases that it is about"
    )
    alert_ids: Annotated[tuple[Uuid, ...], Field(max_length=1000)] = Field(
        default=(), description="the alerts that were shown or answered"
    )
    event: Uuid | None = Field(default=None, description="a change's id on `releases` or `acks`")
    target: Line | None = Field(
        default=None,
        description="what else it is about: a participant, token, Kafka user, dead letter, delivery or endpoint",
    )
    at: Instant

    def subject(self) -> str:
        return self.participant or "operator"

    def topics(self) -> tuple[str, ...]:
        return ("audit",)
