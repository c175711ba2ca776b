"""Trusted publishing: a CI's OpenID Connect token, exchanged once for a token of Herald's that lives some minutes."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError

from schemas.explain import explain, shown
from schemas.publisher import Publisher
from schemas.registry import Registry
from schemas.values import Instant, ParticipantId, Strict
from services.gateway.door.audit import Audit
from services.gateway.door.bodies import ANSWERS, json_body, read
from services.gateway.door.directory import Directory
from services.gateway.door.identity import Anybody, Identity
from services.gateway.door.issuers import Issuers
from services.gateway.door.oidc import Proven, prove
from services.gateway.door.problem import Problem, refused, unavailable
from services.kernel.connection import Connection
from services.kernel.credential_log import Token, described, record
from services.kernel.observe import log

router = APIRouter()

LASTS = timedelta(minutes=10)
WRITE_SECONDS = 10.0
_TOLD = ("repository", "project_path", "ref", "environment", "sub")
"""Claims that a refusal says again, so that whoever holds the token sees what the registry would have to list."""


_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: said for status, said in ANSWERS.items() if status in {400, 403, 408, 413, 415, 422, 429, 503}
}


class Presented(Strict):
    """Who asks, and the token that its CI was given for this run."""

    lab: ParticipantId
    id_token: str = Field(
        repr=False, min_length=1, description="the OpenID Connect token (a JWT), issued for Herald's audience"
    )


class Exchanged(BaseModel):
    """A token of Herald's. It is shown once."""

    token: str = Field(repr=False)
    token_id: str
    lab: str
    expires_at: Instant


class Publishing:
    """Exchanges identities for tokens, each once."""

    def __init__(self, connection: Connection, directory: Directory, audit: Audit) -> None:
        self._connection = connection
        self._directory = directory
        self._audit = audit
        self._issuers = Issuers()

    async def exchange(self, asked: Presented, request_id: str, now: datetime) -> Exchanged:
        """The token that an identity buys. Raises Problem."""
        registry = self._directory.registry
        known = {one.issuer for lab in registry.labs.values() for one in lab.publishers}
        proven = await prove(asked.id_token, known, self._issuers, now)
        publisher = _fitting(registry, asked.lab, proven)
        token = Token.exchanged_for(proven.issuer, proven.identity)
        if self._directory.tokens.knows(token.token_id):
            raise _replayed()
        name = f"CI: {', '.join(publisher.claims.values())}"[:200]
        said = described(token, asked.lab, name, LASTS, now, proven.expires_at)
        await self._audit.write(request_id, Identity(asked.lab, "lab", token.token_id), "token.exchange")
        # The topic's order decides: of all doors that write for one identity, the first record stands, and each
        # reads its own back before it answers.
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                useless = self._directory.tokens.useless(now)
                offset = await record(self._connection, said, "/services/door", now, useless)
                await self._directory.has_read(offset)
        except (KafkaError, TimeoutError):
            text = "Kafka did not confirm the exchange; get another identity token, and ask again"
            raise unavailable(text) from None
        kept = self._directory.tokens.issued.get(token.token_id)
        if kept is None or kept.secret_sha256 != said.secret_sha256:
            raise _replayed()
        log.info("identity_exchanged", participant=asked.lab, token_id=token.token_id, issuer=proven.issuer)
        return Exchanged(token=str(token), token_id=token.token_id, lab=asked.lab, expires_at=said.expires_at)


@router.post("/v1/tokens", status_code=201, responses=_REFUSALS, openapi_extra=json_body(Presented.model_json_schema()))
async def exchange(request: Request, _: Anybody) -> Exchanged:
    """Exchanges a CI's identity token for a token of Herald's, once. It needs no other token."""
    said = await read(request)
    try:
        asked = Presented.model_validate_json(json.dumps(said))
    except ValidationError as error:
        raise refused(explain(error, Presented)) from None
    publishing: Publishing = request.app.state.publishing
    exchanged = await publishing.exchange(asked, request.state.request_id, datetime.now(UTC))
    request.state.participant = asked.lab
    return exchanged


def _replayed() -> Problem:
    return Problem(403, "replayed", "this identity token was exchanged before: each is taken once; get another")


def _fitting(registry: Registry, lab: str, proven: Proven) -> Publisher:
    """The publisher of this lab that the token is. Raises Problem 403, which tells nothing of what is listed."""
    listed = registry.labs[lab].publishers if lab in registry.labs else ()
    fitting = [one for one in listed if one.issuer == proven.issuer and one.claims_fit(proven.claims)]
    for one in fitting:
        if one.audience_fits(proven.claims):
            return one
    if fitting:
        said = f"the token is for {_shown(proven.claims.get('aud'))}: have it issued for Herald alone"
        raise Problem(403, "wrong_audience", said)
    own = ", ".join(f"{name} {_shown(proven.claims[name])}" for name in _TOLD if name in proven.claims)
    raise Problem(403, "no_publisher", f"no publisher of {lab} in the registry fits this token ({own})")


def _shown(value: Any) -> str:
    return shown(value if isinstance(value, str) else json.dumps(value))
