"""Proves an OpenID Connect token: who issued it, and what it says of the CI that carries it.

Source: OpenID Connect Core 1.0, section 3.1.3.7; RFC 7519 (JWT); RFC 8725 (its best current practice).
"""

from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact
from joserfc.jwt import JWTClaimsRegistry

from schemas.explain import shown
from services.gateway.door.issuers import ALGORITHMS, Issuers
from services.gateway.door.problem import Problem
from services.gateway.parse import Unreadable, parse

SKEW_SECONDS = 60
LONGEST_LIFE_SECONDS = 24 * 3600
MAX_TOKEN_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Proven:
    """What a token says, once its issuer's signature holds. `identity` is the same for the same token, and no other."""

    issuer: str
    identity: str
    claims: dict[str, Any]
    expires_at: datetime


async def prove(text: str, known: Container[str], issuers: Issuers, now: datetime) -> Proven:
    """What a token proves at this instant. `known`: the issuers that may be asked.

    Raises Problem: 403 with a code for each rule that it breaks, 503 when the issuer's keys cannot be had.
    """
    signed, claims = _opened(text)
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in known:
        _refuse("wrong_issuer", f"the registry lists no publisher of the issuer {shown(str(issuer))}")
    kid = signed.headers().get("kid")
    key = await issuers.key(issuer, kid) if isinstance(kid, str) else None
    if key is None:
        _refuse("unknown_key", f"{issuer} has no key {shown(str(kid))} that may sign")
    algorithm = ALGORITHMS[key.key_type]
    if signed.headers()["alg"] != algorithm:
        _refuse("wrong_algorithm", f"this key signs with {algorithm}, and nothing else is taken")
    try:
        registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        holds = validate_compact(signed, key, registry=registry)
    except (JoseError, ValueError):
        holds = False
    if not holds:
        _refuse("wrong_signature", f"the signature is not that of {issuer}")
    _check_times(claims, now)
    # Only the signed part: of one statement there may be several signatures that hold.
    jti, part = claims.get("jti"), text.rpartition(".")[0]
    identity = f"jti {jti}" if isinstance(jti, str) and jti else f"token {part}"
    return Proven(issuer, identity, claims, datetime.fromtimestamp(claims["exp"], UTC))


def _opened(text: str) -> tuple[CompactSignature, dict[str, Any]]:
    if len(text) > MAX_TOKEN_BYTES:
        _refuse("unreadable", f"an identity token is at most {MAX_TOKEN_BYTES} bytes")
    try:
        signed = extract_compact(text.encode())
        said = parse(signed.payload)
    except (JoseError, ValueError, TypeError, AttributeError):
        said = None
    if said is None or isinstance(said, Unreadable) or not isinstance(signed.headers(), dict):
        _refuse("unreadable", "this is no signed JSON Web Token; send the one that the CI got for this run, as it is")
    return signed, said.attributes


def _check_times(claims: dict[str, Any], now: datetime) -> None:
    times = JWTClaimsRegistry(int(now.timestamp()), SKEW_SECONDS, exp={"essential": True}, iat={"essential": True})
    try:
        times.validate(claims)
    except ExpiredTokenError:
        _refuse("expired", "the token has expired; get one for this run")
    except MissingClaimError as error:
        _refuse("invalid_claims", f"the token must say {error.claim}")
    except InvalidClaimError as error:
        early = error.claim in {"nbf", "iat"} and isinstance(claims[error.claim], int | float)
        _refuse("not_yet_valid" if early else "invalid_claims", error.description)
    if claims["exp"] > now.timestamp() + LONGEST_LIFE_SECONDS:
        hours = LONGEST_LIFE_SECONDS // 3600
        _refuse("invalid_claims", f"the token expires later than {hours} hours from now: have it issued for this run")


def _refuse(code: str, said: str) -> NoReturn:
    raise Problem(403, code, said)
