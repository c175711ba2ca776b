"""A deployment with an HTTP door for a test, and a token for everybody."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from schemas.registry import Registry
from services.embedded.ports import free
from services.kernel.credential_log import Token, issue
from tests.broker.deployment import ALL, Deployment, Process

DAY = timedelta(days=1)
TLS = httpx.create_ssl_context()
"""Made once: a client that makes its own takes longer over it than over a request."""


@dataclass(slots=True)
class Door:
    """A deployment with a door, and a token for everybody."""

    deployment: Deployment
    process: Process
    address: str
    tokens: dict[str, Token]

    def client(self, who: str | None) -> httpx.AsyncClient:
        """A client that says who it is."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return httpx.AsyncClient(base_url=self.address, headers=headers, timeout=40, verify=TLS)

    async def get(self, who: str | None, path: str, **named: Any) -> httpx.Response:
        """One request."""
        async with self.client(who) as client:
            return await client.get(path, **named)

    async def post(self, who: str | None, path: str, **named: Any) -> httpx.Response:
        """One request."""
        async with self.client(who) as client:
            return await client.post(path, **named)

    async def reopen(self) -> None:
        """Starts the door anew, where it was, and waits until it is ready."""
        (self.process,) = self.deployment.start("gateway.door")
        await self.deployment.ready(self.process)


@asynccontextmanager
async def opened(
    kafka: str,
    prefix: str,
    folder: Path,
    registry: Registry,
    who: Iterable[str],
    also: tuple[str, ...] = (),
    /,
    **env: str,
) -> AsyncIterator[Door]:
    """Every service that tells a release on topics, a door, and what else is to run, with a token for each of `who`."""
    port = free()
    env = {"HERALD_DOOR__PORT": str(port), "HERALD_DATA": str(folder / "data"), "HERALD_DOOR__BURST": "2000"} | env
    deployment = Deployment(kafka, prefix, folder, partitions=2, env=env)
    try:
        await deployment.prepare(registry)
        deployment.start(*ALL, *also)
        (process,) = deployment.start("gateway.door")
        now = datetime.now(UTC)
        tokens = {one: await issue(deployment.connection, one, "a test", DAY, now) for one in who}
        await deployment.ready()
        yield Door(deployment, process, f"http://127.0.0.1:{port}", tokens)
    finally:
        deployment.stop()
