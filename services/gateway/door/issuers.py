"""The keys of OpenID Connect issuers: discovered, kept for a while, fetched anew when one is unknown.

Source: OpenID Connect Discovery 1.0, section 4; RFC 7517 (JWK sets).
"""

import asyncio
import json
import math
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeGuard
from urllib.parse import urlsplit

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from services.gateway.door.problem import Problem
from services.gateway.door.rates import Rates
from services.kernel.loopback import is_loopback
from services.kernel.observe import log

ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
"""By the key's type, never by what a token says of itself."""

FETCH_SECONDS = 5.0
LARGEST_BYTES = 256 * 1024
FRESH_SECONDS = 3600.0
"""After so long keys are fetched anew, so that one that was withdrawn is not taken for longer."""

SMALLEST_RSA_BITS = 2048
_FETCHES_AT_ONCE, _FETCHES_PER_SECOND = 5, 1 / 30

Key = RSAKey | ECKey


class Unavailable(Exception):
    """An issuer's keys cannot be had; the message says why, in one line."""


class Issuers:
    """The keys of each issuer. Only those that the registry lists may be asked for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, dict[str, Key]]] = {}
        self._about: dict[str, dict[str, Any]] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._fetches = Rates(_FETCHES_PER_SECOND, _FETCHES_AT_ONCE, "issuer", clock)
        self._tls = ssl.create_default_context()

    async def key(self, issuer: str, kid: str) -> Key | None:
        """The key of this id; None: the issuer has none. Raises Problem 503 when the issuer cannot be asked."""
        if found := self._fresh(issuer).get(kid):
            return found
        async with self._turns.setdefault(issuer, asyncio.Lock()):
            fresh = self._fresh(issuer)
            if kid in fresh:
                return fresh[kid]
            taken, headers = self._fetches.take(issuer)
            if taken:
                fresh = await self._fetched(issuer)
            elif not fresh:
                raise Problem(503, "issuer_unavailable", f"{issuer} was asked for its keys too often", headers=headers)
            return fresh.get(kid)

    async def about(self, issuer: str) -> dict[str, Any]:
        """What the issuer says of itself. Raises Problem 503 when it cannot be asked."""
        if not self._fresh(issuer):
            await self.key(issuer, "")
        return self._about[issuer]

    async def asked(
        self, issuer: str, address: str, form: dict[str, str], auth: tuple[str, str] | None
    ) -> dict[str, Any]:
        """What it answers to a form at an address of its own. Raises Problem 503."""
        if not may_be_asked(address, issuer):
            raise Problem(503, "issuer_unavailable", f"{issuer} names an address that is not https")
        async with self._asking(issuer, f"{issuer} does not answer as it would") as client:
            return await _json(client, address, form, auth)

    def _fresh(self, issuer: str) -> dict[str, Key]:
        since, keys = self._known.get(issuer, (-math.inf, {}))
        return keys if self._clock() - since < FRESH_SECONDS else {}

    async def _fetched(self, issuer: str) -> dict[str, Key]:
        later = {"Retry-After": "30"}
        async with self._asking(issuer, f"the keys of {issuer} cannot be had", later) as client:
            self._about[issuer], keys = await _discovered(client, issuer)
        self._known[issuer] = self._clock(), keys
        return keys

    @asynccontextmanager
    async def _asking(
        self, issuer: str, failed: str, headers: dict[str, str] | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A client, for as long as an issuer may take. Raises Problem 503: what has failed, and why."""
        # No redirects, and neither proxies nor credentials from the environment: what is asked is what is listed.
        client = httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=FETCH_SECONDS)
        try:
            async with asyncio.timeout(FETCH_SECONDS), client:
                yield client
        except (Unavailable, httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            why = str(error) or type(error).__name__
            log.warning("issuer_unavailable", issuer=issuer, error=why)
            raise Problem(503, "issuer_unavailable", f"{failed}: {why}", headers=headers) from None


async def _discovered(client: httpx.AsyncClient, issuer: str) -> tuple[dict[str, Any], dict[str, Key]]:
    about = await _json(client, issuer.rstrip("/") + "/.well-known/openid-configuration")
    if about.get("issuer") != issuer:
        raise Unavailable("its configuration is another issuer's")
    where = about.get("jwks_uri")
    if not isinstance(where, str) or not may_be_asked(where, issuer):
        raise Unavailable("its jwks_uri is no https address")
    listed = (await _json(client, where)).get("keys")
    return about, dict(_usable(listed if isinstance(listed, list) else []))


def may_be_asked(address: str, issuer: str) -> bool:
    """Whether an address of an issuer's is https; on loopback, for an issuer there, plain http will do."""
    try:
        parts, own = urlsplit(address), urlsplit(issuer)
        inside = own.scheme == parts.scheme == "http" and is_loopback(parts.hostname or "")
    except ValueError:
        return False
    return inside or (parts.scheme == "https" and bool(parts.hostname))


async def _json(
    client: httpx.AsyncClient,
    address: str,
    form: dict[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> dict[str, Any]:
    body, method = bytearray(), "GET" if form is None else "POST"
    headers = {"Accept-Encoding": "identity", "Accept": "application/json"}
    async with client.stream(method, address, headers=headers, data=form, auth=auth) as answer:
        if answer.status_code != httpx.codes.OK:
            raise Unavailable(f"{urlsplit(address).path} was answered with {answer.status_code}")
        async for chunk in answer.aiter_raw():
            body += chunk
            if len(body) > LARGEST_BYTES:
                raise Unavailable(f"{urlsplit(address).path} is larger than {LARGEST_BYTES} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unavailable(f"{urlsplit(address).path} is no JSON object")
    return found


def _usable(listed: list[Any]) -> Iterator[tuple[str, Key]]:
    """Keys that may sign, of a kind and size that is taken; what else stands there is for others."""
    for one in listed:
        if not isinstance(one, dict) or one.get("kty") not in tuple(ALGORITHMS):
            continue
        algorithm = ALGORITHMS[one["kty"]]
        if one.get("use", "sig") != "sig" or one.get("alg", algorithm) != algorithm:
            continue
        try:
            key = JWKRegistry.import_key(one)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if key.kid is not None and _is_strong(key):
            yield key.kid, key


def _is_strong(key: object) -> TypeGuard[Key]:
    if isinstance(key, RSAKey):
        return key.public_key.key_size >= SMALLEST_RSA_BITS
    return isinstance(key, ECKey) and key.curve_name == "P-256"
