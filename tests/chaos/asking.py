"""Asks deliveries for alerts at an agency's endpoints, as the notifier does, and looks at what came of them."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from schemas.envelope import encode
from schemas.registry import Registry
from tests.broker import clocks
from tests.broker.deployment import Deployment, Process
from tests.broker.receivers import SECRET, Hooks, Mails
from tests.unit.endpoint_world import START, requested

AGENCY = "cisa"


def registry(mailed: Mails | None, endpoints: dict[str, dict[str, Any]]) -> Registry:
    """One agency with these endpoints."""
    agency = {"name": "CISA", "endpoints": {name: {"tier": "watch"} | about for name, about in endpoints.items()}}
    whole: dict[str, Any] = {"version": 1, "agencies": {AGENCY: agency}, "allow_networks": ["127.0.0.0/8"]}
    if mailed is not None:
        whole["mail"] = mailed.relay
    return Registry.model_validate_json(json.dumps(whole))


def hook(hooked: Hooks, path: str) -> dict[str, Any]:
    """A webhook at a receiver that runs."""
    return web(f"{hooked.address}/{path}")


def web(url: str) -> dict[str, Any]:
    """A webhook."""
    return {"channel": "webhook", "url": url, "secrets": ["env:HOOK_SECRET"], "per_minute": 6000}


MAIL = {"channel": "email", "to": "desk@cisa.example", "per_minute": 6000}


def deployment(kafka: str, prefix: str, folder: Path, partitions: int = 1, rate: float = 1, **env: str) -> Deployment:
    """One whose deliveries find their secret; its clock begins at the requests' time."""
    env |= {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder)} | clocks.now(rate=rate, begins=START)
    return Deployment(kafka, prefix, folder, partitions=partitions, env=env)


async def ask(deployment: Deployment, endpoints: Iterable[str], releases: Iterable[int], sequence: int = 1) -> None:
    """Asks for an alert of each release at each endpoint."""
    producer = deployment.connection.producer()
    await producer.start()
    topic = deployment.connection.topic("deliveries")
    try:
        for release in releases:
            for endpoint in endpoints:
                one = requested(release, sequence, START, endpoint=endpoint)
                event = one.stamped(cause=one.delivery_id, ordinal=0, source="/services/notifier", time=START)
                await producer.send(topic, encode(event), key=one.subject().encode())
        await producer.flush()
    finally:
        await producer.stop()


async def outcomes(deployment: Deployment, count: int, *kinds: str) -> list[dict[str, Any]]:
    """What came of deliveries, of these kinds (`succeeded`), once so many are there; the kind stands beside."""
    while True:
        events = await deployment.events("delivery-outcomes", deployment.partitions)
        named = [one["data"] | {"outcome": one["type"].split(".")[2]} for one in events]
        found = [one for one in named if one["outcome"] in kinds and "delivery_id" in one]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.1)


async def until(condition: Any) -> None:
    """Waits for something to become true, as long as the test may take."""
    while not condition():
        await asyncio.sleep(0.02)


async def unready(process: Process) -> None:
    """Waits until a process lets go of what it owns."""
    while await asyncio.to_thread(process.is_ready):
        await asyncio.sleep(0.02)
