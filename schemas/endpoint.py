"""Where an agency is told besides its Kafka topic: webhooks, e-mail and chat. Secrets are references, never values."""

from base64 import b64decode
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Discriminator, Field, StringConstraints

from schemas.values import Line, OptionalKind, Strict, Tier

EndpointId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
SecretRef = Annotated[str, StringConstraints(pattern=r"^(file:/[^\s]{1,250}|env:[A-Z][A-Z0-9_]{0,99})$")]
"""Where a secret stands: `file:/absolute/path`, read anew at each use, or `env:NAME` of the deliveries service."""

FilePath = Annotated[str, StringConstraints(pattern=r"^/[^\s]{1,250}$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,198}[!-~])?$")]
WebUrl = Annotated[
    str, StringConstraints(pattern=r"^https?://[^\s/?#@\\]+(/[^\s#\\]*)?(\?[^\s#\\]*)?$", max_length=500)
]
"""A web address without a user in it and without a fragment."""

MailAddress = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
ChatChannel = Literal["slack", "teams", "mattermost", "google-chat", "ntfy"]
Channel = Literal["webhook", "email", "slack", "teams", "mattermost", "google-chat", "ntfy"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
ALL_KINDS: tuple[OptionalKind, ...] = ("scheduled", "opened", "closing-soon", "closed", "announced")


def _network(value: str) -> str:
    try:
        IPv4Network(value)
    except ValueError:
        try:
            IPv6Network(value)
        except ValueError:
            raise ValueError("must be a network, such as 10.20.0.0/16 or fd00::/8") from None
    return value


Network = Annotated[str, StringConstraints(max_length=50), AfterValidator(_network)]


SHORTEST_KEY, LONGEST_KEY = 24, 64
"""Bytes of a webhook's signing key (Standard Webhooks 1.0)."""


def signing_key(secret: str) -> bytes | None:
    """The key that a signing secret stands for: `whsec_` and its base64. None: it is none."""
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return None
    return key if secret.startswith("whsec_") and SHORTEST_KEY <= len(key) <= LONGEST_KEY else None


class QuietHours(Strict):
    """A part of each day in the agency's time zone; it may go over midnight. What is routine waits for its end."""

    begins: ClockTime = Field(description="such as 22:00")
    ends: ClockTime = Field(description="such as 07:00")


class ClientCertificate(Strict):
    """What a webhook's server is shown (mTLS): files of the deliveries service, PEM."""

    certificate: FilePath
    key: FilePath


class _Endpoint(Strict):
    """What all have: for whom it is, and what it wants."""

    tier: Tier
    kinds: tuple[OptionalKind, ...] = Field(default=ALL_KINDS, description="of those that the agency takes")
    per_minute: int = Field(default=60, ge=1, le=6000, description="messages at most, in the long run")


class Webhook(_Endpoint):
    """A POST of JSON, signed as Standard Webhooks 1.0 says."""

    channel: Literal["webhook"]
    url: WebUrl
    content: Literal["full", "thin"] = Field(default="full", description="TLP:RED is always thin")
    secrets: Annotated[tuple[SecretRef, ...], Field(min_length=1, max_length=2)] = Field(
        description="two while one is being replaced: it is signed with both"
    )
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=20)] = Field(default_factory=dict)
    client_certificate: ClientCertificate | None = None
    alive_at: ClockTime | None = Field(
        default=None, description="each day at this time, in the agency's zone, a line that all is well; absent: none"
    )


class Email(_Endpoint):
    """A mail, always thin."""

    channel: Literal["email"]
    to: MailAddress


class Chat(_Endpoint):
    """A chat's incoming webhook, always thin. Its address lets whoever knows it write: it is a secret."""

    channel: ChatChannel
    url: SecretRef
    token: SecretRef | None = Field(default=None, description="ntfy: an access token")


Endpoint = Annotated[Webhook | Email | Chat, Discriminator("channel")]


class MailRelay(Strict):
    """An SMTP server that takes Herald's mails."""

    host: HostName
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="none: loopback alone")
    username: Line | None = None
    password: SecretRef | None = None
    sender: MailAddress = Field(description="stands in From, and takes what cannot be delivered")
    cafile: FilePath | None = Field(default=None, description="authorities that are trusted instead of the system's")
