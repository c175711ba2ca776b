"""Speaks through the HTTP door instead of Kafka: an address and a token are all that it needs."""

import asyncio
import os
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from services.cli.exchange import Outcome
from services.kernel.loopback import is_loopback
from services.kernel.settings import SettingsError

Api = Annotated[
    str | None,
    typer.Option("--api", envvar="HERALD_API", help="Address of Herald's HTTP door, instead of Kafka; needs a token."),
]
LONGEST_WAIT = 30
CLOUD_EVENT = "application/cloudevents+json"


def token() -> str:
    """The token from HERALD_TOKEN, or from the file that HERALD_TOKEN_FILE names. Raises SettingsError."""
    if found := os.environ.get("HERALD_TOKEN"):
        return found.strip()
    path = os.environ.get("HERALD_TOKEN_FILE")
    if path is None:
        raise SettingsError("HERALD_TOKEN: no token is set; HERALD_TOKEN_FILE may name a file that holds it")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"HERALD_TOKEN_FILE: cannot read {path}: {error.strerror}") from None


async def submit(api: str, event: dict[str, Any], seconds: float) -> Outcome:
    """Sends a CloudEvent through the door and waits for its receipt, for so many seconds in all."""
    import httpx  # noqa: PLC0415 - other commands start quicker without it

    _check(api)
    base, wait = api.rstrip("/"), max(0.0, min(seconds - 1, LONGEST_WAIT))
    headers = {"Authorization": f"Bearer {token()}", "Content-Type": CLOUD_EVENT}
    try:
        async with asyncio.timeout(seconds), httpx.AsyncClient(timeout=seconds) as client:
            answer = await client.post(f"{base}/v1/events?wait={wait:g}", json=event, headers=headers)
        said = answer.json()
    except httpx.ConnectError as error:
        return Outcome(None, f"{api} could not be reached: nothing was sent ({error})")
    except TimeoutError:
        return Outcome(None, f"no answer from {api} within {seconds:g} s: the event may or may not stand there")
    except (httpx.HTTPError, ValueError) as error:
        return Outcome(None, f"{api} did not answer as expected: the event may or may not stand there ({error!r})")
    if answer.is_success:
        pending = answer.status_code == HTTPStatus.ACCEPTED
        known = f"Herald has the event; its receipt will be at {base}{said['receipt_url']}" if pending else "answered"
        return Outcome(None if pending else said, known)
    if answer.is_server_error or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome(None, f"{api}: {said.get('detail', answer.status_code)}")
    reasons = said.get("reasons") or [{"code": said.get("title", "refused"), "message": said.get("detail", "")}]
    return Outcome({"type": "herald.receipt.refused.v1", "data": {"reasons": reasons}}, "answered")


def _check(api: str) -> None:
    parts = urlsplit(api)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"--api {api}: write an address such as https://herald.example")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise SettingsError(f"--api {api}: the token would travel in the clear; use https")
