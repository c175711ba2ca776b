"""A token of a lab, an agency or an operator for the HTTP door: what is known of it, not itself. And revoked links."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from schemas.envelope import Data
from schemas.values import Instant, Line, ParticipantId

TokenId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Scope = Literal["calendar"]
"""What a token with a single purpose opens, and nothing else opens that."""

Role = Literal["viewer", "operator"]
"""What the holder of an operators' token may do on the page: look, or act as well."""

OPERATORS = "operator"
"""Stands for the participant in an operators' token. What counts is its role: it opens the page, and nothing else."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _CredentialEvent(Data):
    token_id: TokenId
    participant: ParticipantId

    def topics(self) -> tuple[str, ...]:
        return ("credentials",)

    def subject(self) -> str:
        return self.token_id


class CredentialIssued(_CredentialEvent):
    """A token was issued. It was shown once; what is kept is its hash. The first of an id stands."""

    type: ClassVar[str] = "herald.credential.issued.v1"

    name: Line = Field(description="what it is for, in the operator's words")
    secret_sha256: Sha256 = Field(description="of its secret part, which is 32 random bytes")
    issued_at: Instant
    expires_at: Instant
    identity_expires_at: Instant | None = Field(
        default=None,
        description="of one exchanged for a CI's identity token: when that expires",
    )
    scope: Scope | None = Field(default=None, description="its single purpose; absent: all else that its owner may do")
    role: Role | None = Field(default=None, description="of an operators' token: it opens the page and nothing else")


class CredentialRevoked(_CredentialEvent):
    """A token is no longer taken."""

    type: ClassVar[str] = "herald.credential.revoked.v1"

    revoked_at: Instant


class LinksRevoked(Data):
    """No acknowledgement link of this agency that was made until then is taken any more."""

    type: ClassVar[str] = "herald.links.revoked.v1"

    participant: ParticipantId
    revoked_at: Instant

    def topics(self) -> tuple[str, ...]:
        return ("credentials",)

    def subject(self) -> str:
        return f"links.{self.participant}"
