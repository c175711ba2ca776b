"""Who is asking: a bearer token, checked against the tokens in force and the registry, and held to a rate."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.gateway.door.directory import Directory
from services.gateway.door.problem import Problem
from services.kernel.settings import DoorSettings

_bearer = HTTPBearer(auto_error=False, description="A token of `herald tokens issue`.")
_WHO = 'Bearer realm="herald"'


@dataclass(frozen=True, slots=True)
class Identity:
    """A lab or an agency, proven by a token."""

    participant: str
    role: Literal["lab", "agency"]
    token_id: str


class Rates:
    """A bucket an identity: `burst` at once, `requests_per_second` in the long run."""

    def __init__(self, settings: DoorSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = settings.requests_per_second, settings.burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, participant: str) -> tuple[bool, dict[str, str]]:
        """Whether one more request is taken, and the headers that say how many more would be."""
        now = self._clock()
        level, since = self._buckets.get(participant, (float(self._burst), now))
        level = min(float(self._burst), level + (now - since) * self._rate)
        taken = level >= 1
        self._buckets[participant] = (level - 1 if taken else level, now)
        left = max(0, math.floor(level - 1))
        wait = 0 if taken else math.ceil((1 - level) / self._rate)
        headers = {
            "RateLimit-Policy": f'"identity";q={self._burst};w={math.ceil(self._burst / self._rate)}',
            "RateLimit": f'"identity";r={left};t={wait}',
        }
        return taken, headers if taken else headers | {"Retry-After": str(wait)}


class Gatekeeper:
    """Tells who is asking."""

    def __init__(self, directory: Directory, settings: DoorSettings) -> None:
        self._directory = directory
        self._rates = Rates(settings)

    def identify(self, token: str) -> tuple[Identity, dict[str, str]]:
        """The identity behind a token, and headers for the answer. Raises Problem 401, 403 or 429."""
        known = self._directory.tokens.holder(token, datetime.now(UTC))
        if known is None:
            said = "this token is not taken: it is unknown, wrong, expired or revoked"
            raise Problem(401, "unauthenticated", said, headers={"WWW-Authenticate": _WHO})
        registry = self._directory.registry
        role: Literal["lab", "agency"] = "lab" if known.participant in registry.labs else "agency"
        if known.participant not in {*registry.labs, *registry.agencies}:
            raise Problem(403, "unknown_participant", f"{known.participant} is not in the registry any more")
        taken, headers = self._rates.take(known.participant)
        if not taken:
            raise Problem(429, "too_many_requests", "slow down; Retry-After says how long", headers=headers)
        return Identity(known.participant, role, known.token_id), headers

    def still_knows(self, identity: Identity) -> bool:
        """Whether the token behind an answer that lasts is still taken."""
        known, registry = self._directory.tokens.issued.get(identity.token_id), self._directory.registry
        in_force = known is not None and known.expires_at > datetime.now(UTC)
        return in_force and identity.participant in {*registry.labs, *registry.agencies}


async def _anyone(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity:
    if given is None:
        said = "send a token: Authorization: Bearer herald_…"
        raise Problem(401, "unauthenticated", said, headers={"WWW-Authenticate": _WHO})
    gatekeeper: Gatekeeper = request.app.state.gatekeeper
    identity, headers = gatekeeper.identify(given.credentials)
    request.state.headers.update(headers)
    request.state.participant = identity.participant
    return identity


async def _lab(identity: Annotated[Identity, Depends(_anyone)]) -> Identity:
    if identity.role != "lab":
        raise Problem(403, "not_for_you", "this is for labs")
    return identity


async def _agency(identity: Annotated[Identity, Depends(_anyone)]) -> Identity:
    if identity.role != "agency":
        raise Problem(403, "not_for_you", "this is for agencies")
    return identity


Anyone = Annotated[Identity, Depends(_anyone)]
Lab = Annotated[Identity, Depends(_lab)]
Agency = Annotated[Identity, Depends(_agency)]
