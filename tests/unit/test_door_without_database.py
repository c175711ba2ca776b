"""A door whose database restarts, or cannot be reached, says so, and nothing worse."""

from contextlib import nullcontext
from types import SimpleNamespace

import httpx
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from services.embedded.ports import LOOPBACK
from services.gateway.door.app import routes
from services.gateway.door.identity import Identity, Role
from services.gateway.model.reading import Reading

NOBODY_LISTENS = f"postgresql+asyncpg://herald@{LOOPBACK}:1/herald"
NO_TABLES = "sqlite+aiosqlite://"
UNKNOWN = "3f0c9a54-8c1e-4d7b-9b1e-6a2f5d8c7e10"


@pytest.mark.parametrize("url", [NOBODY_LISTENS, NO_TABLES])
@pytest.mark.parametrize("path", [f"/v1/releases/{UNKNOWN}", f"/v1/alerts/{UNKNOWN}/acknowledgement"])
async def test_what_needs_the_database_is_answered_with_later_while_it_is_away(url: str, path: str) -> None:
    async def knows(_: str) -> None:
        return None

    role: Role = "lab" if "releases" in path else "agency"
    app, engine = routes(), create_async_engine(url)
    app.state.gatekeeper = SimpleNamespace(
        hears_of=knows,
        identify=lambda _: (Identity("somebody", role, "a-token"), {}),
        open_request=lambda _: nullcontext(),
    )
    app.state.reading = Reading(engine)
    app.state.edge = SimpleNamespace(alert=app.state.reading.alert)
    headers = {"Authorization": "Bearer herald_a-token_x"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
        if role == "lab":
            answer = await client.get(path, headers=headers)
        else:
            answer = await client.post(path, headers=headers, json={"disposition": "received"})
    await engine.dispose()
    assert (answer.status_code, answer.json()["title"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Content-Type"] == "application/problem+json"
