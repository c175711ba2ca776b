"""The tokens of the HTTP door in Kafka: issue one, revoke one, read them all; and revoke an agency's links."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiokafka import TopicPartition

from schemas.credential import CredentialIssued, CredentialRevoked, LinksRevoked, Role, Scope
from schemas.envelope import derived_id, encode, reader
from services.kernel.connection import Connection
from services.kernel.letting_go import let_go

CREDENTIALS_TOPIC = "credentials"
PREFIX = "herald_"
"""Begins every token, so that scanners for leaked secrets know one when they see it."""

FORGOTTEN = timedelta(days=1)
"""So long after both have expired, a token and the identity behind it are forgotten."""

FEED_PATH = "/v1/calendar.ics"
"""What a token for the calendar opens, as `?token=…`: calendars send no headers."""

_read = reader(CredentialIssued, CredentialRevoked, LinksRevoked)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is shown, once: `herald_<id>_<secret>`."""

    token_id: str
    secret: str

    @classmethod
    def fresh(cls) -> "Token":
        """A new one, of 32 random bytes."""
        return cls(secrets.token_hex(6), secrets.token_urlsafe(32))

    @classmethod
    def exchanged_for(cls, issuer: str, identity: str) -> "Token":
        """A new one whose id follows from the identity that it is exchanged for, so that each buys one token only."""
        return cls(derived_id("identity", issuer, identity)[-12:], secrets.token_urlsafe(32))

    @classmethod
    def of(cls, text: str) -> "Token | None":
        """The token in a text; None when it is none."""
        token_id, _, secret = text.removeprefix(PREFIX).partition("_")
        return cls(token_id, secret) if text.startswith(PREFIX) and token_id and secret else None

    @property
    def secret_sha256(self) -> str:
        """What is kept of it. The secret is random and long: a slow hash would add nothing."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{PREFIX}{self.token_id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.token_id})"


class Tokens:
    """What is known of every token. The first one issued under an id stands, and a revocation is final.

    Of two doors that issued under one id at once, compaction keeps the second's record in the end, whose secret nobody
    was told: the first's token would be refused then, which lasts some minutes anyway, and no other is taken.

    `links_revoked`: until when the links of an agency that were made are not taken.
    """

    def __init__(self) -> None:
        self.issued: dict[str, CredentialIssued] = {}
        self.links_revoked: dict[str, datetime] = {}
        self._revoked: set[str] = set()

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Takes over one record of the topic. Without a value, a token is forgotten."""
        if value is None:
            token_id = (key or b"").decode()
            self.issued.pop(token_id, None)
            self._revoked.discard(token_id)
            return
        data = _read.validate_json(value, extra="ignore").data
        if isinstance(data, CredentialRevoked):
            self._revoked.add(data.token_id)
            self.issued.pop(data.token_id, None)
        elif isinstance(data, LinksRevoked):
            self.links_revoked[data.participant] = data.revoked_at
        elif data.token_id not in self._revoked:
            self.issued.setdefault(data.token_id, data)

    def knows(self, token_id: str) -> bool:
        """Whether a token was issued under this id, revoked since or not."""
        return token_id in self.issued or token_id in self._revoked

    def useless(self, now: datetime) -> list[str]:
        """Tokens of CIs whose identity cannot be presented again by any clock: there is no need to know them."""
        return [
            token_id
            for token_id, one in self.issued.items()
            if one.identity_expires_at is not None and max(one.identity_expires_at, one.expires_at) + FORGOTTEN < now
        ]

    def holder(self, text: str, now: datetime) -> CredentialIssued | None:
        """Whose token a text is; None when it is unknown, wrong, expired or revoked. Compares in constant time."""
        token = Token.of(text)
        if token is None or (known := self.issued.get(token.token_id)) is None:
            return None
        if not hmac.compare_digest(known.secret_sha256, token.secret_sha256) or known.expires_at <= now:
            return None
        return known


async def issued(connection: Connection) -> Mapping[str, CredentialIssued]:
    """Every token that is not revoked, by id."""
    source = TopicPartition(connection.topic(CREDENTIALS_TOPIC), 0)
    consumer, tokens = connection.consumer(), Tokens()
    try:
        await consumer.start()
        consumer.assign([source])
        await consumer.seek_to_beginning(source)
        end = (await consumer.end_offsets([source]))[source]
        while await consumer.position(source) < end:
            for record in (await consumer.getmany(source, timeout_ms=200)).get(source, []):
                tokens.take(record.key, record.value)
    finally:
        await consumer.stop()
    return tokens.issued


async def issue(
    connection: Connection,
    participant: str,
    name: str,
    lasts: timedelta,
    now: datetime,
    scope: Scope | None = None,
    role: Role | None = None,
) -> Token:
    """Issues a token. It is returned once, and kept nowhere."""
    token = Token.fresh()
    said = described(token, participant, name, lasts, now, scope=scope, role=role)
    await record(connection, said, "/services/operator", now)
    return token


async def revoke(connection: Connection, known: CredentialIssued, now: datetime) -> None:
    """Ends a token."""
    event = CredentialRevoked(token_id=known.token_id, participant=known.participant, revoked_at=now)
    await record(connection, event, "/services/operator", now)


async def revoke_links(connection: Connection, agency: str, now: datetime) -> None:
    """Ends every acknowledgement link of an agency that was made until now."""
    await record(connection, LinksRevoked(participant=agency, revoked_at=now), "/services/operator", now)


def described(
    token: Token,
    participant: str,
    name: str,
    lasts: timedelta,
    now: datetime,
    identity_expires_at: datetime | None = None,
    scope: Scope | None = None,
    role: Role | None = None,
) -> CredentialIssued:
    """What is kept of a token. `name`: what it is for; `lasts`: how long it is taken from now on."""
    return CredentialIssued(
        token_id=token.token_id,
        participant=participant,
        name=name,
        secret_sha256=token.secret_sha256,
        issued_at=now,
        expires_at=now + lasts,
        identity_expires_at=identity_expires_at,
        scope=scope,
        role=role,
    )


async def record(
    connection: Connection,
    data: CredentialIssued | CredentialRevoked | LinksRevoked,
    source: str,
    now: datetime,
    forgotten: Iterable[str] = (),
) -> int:
    """Writes the word on a token, and forgets others; returns its offset. Raises KafkaError."""
    topic, producer = connection.topic(CREDENTIALS_TOPIC), connection.producer()
    cause = derived_id("credential", data.subject(), now.isoformat())
    event: Any = data.stamped(cause=cause, ordinal=0, source=source, time=now)
    try:
        await producer.start()
        for token_id in forgotten:
            await producer.send_and_wait(topic, None, key=token_id.encode(), partition=0)
        sent = await producer.send_and_wait(topic, encode(event), key=data.subject().encode(), partition=0)
    finally:
        await let_go(producer)
    offset: int = sent.offset
    return offset
