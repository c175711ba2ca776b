"""The OpenID Connect token that a CI gives each run: GitHub is asked for it, others (GitLab) set it."""

import os
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.publisher import DEFAULT_AUDIENCE
from services.kernel.settings import kept_in

if TYPE_CHECKING:
    import httpx


class NoIdentity(Exception):
    """The CI was asked and gave none; the message says why, in one line."""


async def identity_token(client: "httpx.AsyncClient") -> str | None:
    """The token of this run, for the audience HERALD_AUDIENCE; None where there is no CI that gives one.

    Raises NoIdentity, and SettingsError where HERALD_ID_TOKEN_FILE cannot be read.
    """
    if found := os.environ.get("HERALD_ID_TOKEN"):
        return found.strip()
    if path := os.environ.get("HERALD_ID_TOKEN_FILE"):
        return kept_in(Path(path), "HERALD_ID_TOKEN_FILE")
    url, secret = (os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}") for name in ("URL", "TOKEN"))
    return await _of_github(client, url, secret) if url and secret else None


async def _of_github(client: "httpx.AsyncClient", url: str, secret: str) -> str:
    import httpx  # noqa: PLC0415 - other commands start quicker without it

    audience = os.environ.get("HERALD_AUDIENCE") or DEFAULT_AUDIENCE
    address = httpx.URL(url).copy_merge_params({"audience": audience})
    try:
        answer = await client.get(address, headers={"Authorization": f"Bearer {secret}"})
        if answer.status_code != HTTPStatus.OK:
            raise NoIdentity(f"GitHub gave no identity token: it answered with {answer.status_code}")
        return str(answer.json()["value"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise NoIdentity(f"GitHub gave no identity token: {error!r}") from None
