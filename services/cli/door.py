"""Speaks through the HTTP door instead of Kafka: an address and a token are all that it needs."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import urlsplit

import typer

from services.cli.ci_identity import NoIdentity, identity_token
from services.cli.exchange import Outcome
from services.kernel.loopback import is_loopback
from services.kernel.settings import SettingsError, kept_in

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

Api = Annotated[
    str | None,
    typer.Option(
        "--api",
        envvar="HERALD_API",
        help="Address of Herald's HTTP door, instead of Kafka; needs a token, or a CI that proves who it is.",
    ),
]
LONGEST_WAIT = 30
CLOUD_EVENT = "application/cloudevents+json"


def token() -> str | None:
    """The token from HERALD_TOKEN, or from the file that HERALD_TOKEN_FILE names. Raises SettingsError."""
    if found := os.environ.get("HERALD_TOKEN"):
        return found.strip()
    path = os.environ.get("HERALD_TOKEN_FILE")
    if not path:
        return None
    return kept_in(Path(path), "HERALD_TOKEN_FILE")


async def submit(api: str, event: dict[str, Any], seconds: float) -> Outcome:
    """Sends a CloudEvent of a lab through the door and waits for its receipt, for so many seconds in all.

    Without a token it exchanges the identity that the CI gives this run.
    """

    async def work(client: "httpx.AsyncClient", known: list[str]) -> Outcome:
        until = asyncio.get_running_loop().time() + seconds
        given = token()
        if given is None:
            exchanged = await _exchange(client, api, event["source"].rpartition("/")[2])
            if isinstance(exchanged, Outcome):
                return exchanged
            given = exchanged["token"]
        wait = max(0.0, min(until - asyncio.get_running_loop().time() - 1, LONGEST_WAIT))
        headers = {"Authorization": f"Bearer {given}", "Content-Type": CLOUD_EVENT}
        known.append("the event may or may not stand there")
        answer = await client.post(f"{api.rstrip('/')}/v1/events?wait={wait:g}", json=event, headers=headers)
        if not answer.is_success:
            return _refused(api, answer)
        said = answer.json()
        if answer.status_code != HTTPStatus.ACCEPTED:
            return Outcome(said, "answered")
        where = f"{api.rstrip('/')}{said['receipt_url']}"
        return Outcome(None, f"Herald has the event; its receipt will be at {where}")

    return await _talk(api, seconds, work)


async def exchange(api: str, lab: str, seconds: float) -> dict[str, Any] | Outcome:
    """The token, with its id and end, that the identity of this run of the CI buys; otherwise why it does not."""
    return await _talk(api, seconds, lambda client, _: _exchange(client, api, lab))


async def _talk(
    api: str, seconds: float, work: "Callable[[httpx.AsyncClient, list[str]], Awaitable[T]]"
) -> T | Outcome:
    import httpx  # noqa: PLC0415 - other commands start quicker without it

    _check(api)
    known = ["nothing was sent"]
    try:
        async with asyncio.timeout(seconds), httpx.AsyncClient(timeout=seconds) as client:
            return await work(client, known)
    except NoIdentity as error:
        return Outcome(None, f"{error}: {known[-1]}")
    except httpx.ConnectError as error:
        return Outcome(None, f"{api} could not be reached: nothing was sent ({error})")
    except TimeoutError:
        return Outcome(None, f"no answer from {api} within {seconds:g} s: {known[-1]}")
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Outcome(None, f"{api} did not answer as expected: {known[-1]} ({error!r})")


async def _exchange(client: "httpx.AsyncClient", api: str, lab: str) -> dict[str, Any] | Outcome:
    identity = await identity_token(client)
    if identity is None:
        raise SettingsError(
            "HERALD_TOKEN: no token is set, and this is no CI that proves who it is; HERALD_TOKEN_FILE may name a file "
            "that holds one. In CI: `permissions: id-token: write` (GitHub), or HERALD_ID_TOKEN (GitLab: `id_tokens`)"
        )
    answer = await client.post(f"{api.rstrip('/')}/v1/tokens", json={"lab": lab, "id_token": identity})
    if not answer.is_success:
        return _refused(api, answer)
    found: dict[str, Any] = answer.json()
    return found


def _refused(api: str, answer: "httpx.Response") -> Outcome:
    """What a problem says. Where the door could not answer, nothing was refused."""
    try:
        said = answer.json()
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    if answer.is_server_error or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or "type" not in said:
        return Outcome(None, f"{api} answered with {answer.status_code}: {said.get('detail', 'no reason')}")
    code = said["type"].rpartition(":")[2]
    reasons = said.get("reasons") or [{"code": code, "message": said.get("detail", "")}]
    return Outcome({"type": "herald.receipt.refused.v1", "data": {"reasons": reasons}}, "answered")


def _check(api: str) -> None:
    parts = urlsplit(api)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"--api {api}: write an address such as https://herald.example")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise SettingsError(f"--api {api}: the token would travel in the clear; use https")
