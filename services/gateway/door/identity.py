"""Who is asking: a bearer token, checked against the tokens in force and the registry, and held to a rate."""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from schemas.credential import Scope
from services.gateway.door.directory import Directory
from services.gateway.door.problem import Problem
from services.gateway.door.rates import Rates
from services.kernel.credential_log import Token
from services.kernel.settings import DoorSettings

PAGE_PATH = "/console"
_WHO = 'Bearer realm="herald"'
Role = Literal["lab", "agency"]
_PLURAL = {"lab": "labs", "agency": "agencies"}


@dataclass(frozen=True, slots=True)
class Identity:
    """A lab or an agency, proven by a token, or by a link: then `token_id` is that of the alert it was made for."""

    participant: str
    role: Role
    token_id: str
    kind: Literal["token", "link"] = "token"


class Gatekeeper:
    """Tells who is asking."""

    def __init__(self, directory: Directory, settings: DoorSettings) -> None:
        self._directory = directory
        self._rates = Rates(settings.requests_per_second, settings.burst, "identity")
        self._open: Counter[str] = Counter()
        self._most_open = settings.open_requests
        self._addresses = Rates(settings.requests_per_second, settings.burst, "address")

    def identify(self, token: str, scope: Scope | None = None) -> tuple[Identity, dict[str, str]]:
        """The identity behind a token of this scope, and headers for the answer. Raises Problem 401, 403 or 429."""
        known = self._directory.tokens.holder(token, datetime.now(UTC))
        if known is None:
            said = "this token is not taken: it is unknown, wrong, expired or revoked"
            raise Problem(401, "unauthenticated", said, headers={"WWW-Authenticate": _WHO})
        if known.role is not None:
            raise Problem(403, "wrong_scope", f"this token opens the operators' page only: {PAGE_PATH}")
        if known.scope != scope:
            said = (
                f"this token opens the {known.scope} only" if known.scope else f"this token does not open the {scope}"
            )
            raise Problem(403, "wrong_scope", said)
        registry = self._directory.registry
        role: Role = "lab" if known.participant in registry.labs else "agency"
        if known.participant not in registry.labs and known.participant not in registry.agencies:
            raise Problem(403, "unknown_participant", f"{known.participant} is not in the registry any more")
        return Identity(known.participant, role, known.token_id), self.hold(known.participant)

    @contextmanager
    def open_request(self, participant: str) -> Iterator[None]:
        """Counts a request for as long as it is open. Raises Problem 429 beyond what one identity may hold open."""
        if self._open[participant] >= self._most_open:
            said = f"{self._most_open} requests of yours are open, streams and waiting ones among them: end one first"
            raise Problem(429, "too_many_open", said, headers={"Retry-After": "1"})
        self._open[participant] += 1
        try:
            yield
        finally:
            self._open[participant] -= 1

    def admit(self, address: str) -> dict[str, str]:
        """Holds whoever has not said who it is to a rate, by address; headers for the answer. Raises Problem 429."""
        return _held(self._addresses, network(address))

    def hold(self, name: str) -> dict[str, str]:
        """Holds somebody who is known by another name to the same rate; headers for the answer. Raises Problem 429."""
        return _held(self._rates, name)

    async def hears_of(self, text: str) -> None:
        """Waits a moment for a token that is unknown as yet, so that all doors take it at once."""
        token = Token.of(text)
        if token is not None and not self._directory.tokens.knows(token.token_id):
            await self._directory.hears_of(token.token_id)

    def still_knows(self, identity: Identity) -> bool:
        """Whether the token behind an answer that lasts is still taken."""
        known, registry = self._directory.tokens.issued.get(identity.token_id), self._directory.registry
        in_force = known is not None and known.expires_at > datetime.now(UTC)
        return in_force and identity.participant in {*registry.labs, *registry.agencies}


def _held(rates: Rates, name: str) -> dict[str, str]:
    taken, headers = rates.take(name)
    if not taken:
        raise Problem(429, "too_many_requests", "slow down; Retry-After says how long", headers=headers)
    return headers


class _Bearer(HTTPBearer):
    """The identity behind a request, of one role if that is said."""

    def __init__(self, role: Role | None = None) -> None:
        super().__init__(scheme_name="HTTPBearer", description="A token of `herald tokens issue`.")
        self._role = role

    async def __call__(self, request: Request) -> Identity:  # type: ignore[override]
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            said = "send a token: Authorization: Bearer herald_…"
            raise Problem(401, "unauthenticated", said, headers={"WWW-Authenticate": _WHO})
        gatekeeper: Gatekeeper = request.app.state.gatekeeper
        await gatekeeper.hears_of(token)
        identity, headers = gatekeeper.identify(token)
        request.state.headers.update(headers)
        request.state.afterwards.enter_context(gatekeeper.open_request(identity.participant))
        request.state.participant = identity.participant
        if self._role is not None and identity.role != self._role:
            raise Problem(403, "not_for_you", f"this is for {_PLURAL[self._role]}")
        return identity


async def _anybody(request: Request) -> None:
    address = request.client.host if request.client else ""
    request.state.headers.update(request.app.state.gatekeeper.admit(address))


def network(address: str) -> str:
    """What one party holds: an IPv4 address, or the network of an IPv6 address."""
    try:
        bits = 64 if ipaddress.ip_address(address).version == 6 else 32
    except ValueError:
        return address
    return str(ipaddress.ip_network((address, bits), strict=False))


Anybody = Annotated[None, Depends(_anybody)]
Anyone = Annotated[Identity, Depends(_Bearer())]
Lab = Annotated[Identity, Depends(_Bearer("lab"))]
Agency = Annotated[Identity, Depends(_Bearer("agency"))]
