"""One delivery worker beside a bare loop: the same bytes signed and posted, as many at once, to one receiver."""

import asyncio
import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import httpx

from schemas.delivery import DeliveryRequested
from schemas.envelope import encode
from schemas.registry import Registry
from services.embedded.lifeline import tied
from tests.bench.bounds import BARE_COURIER, HERALD
from tests.broker.deployment import Deployment
from tests.broker.receivers import SECRET
from tests.unit.endpoint_world import START, requested

AGENCIES, EACH, AT_ONCE = 100, 20, 64
"""So many agencies with one webhook each, told of so many releases."""

TURNS = 2
"""A round: each is over in a second."""


async def run(bootstrap: str, prefix: str, folder: Path, turns: int) -> dict[str, list[float]]:
    """Deliveries a second of each contestant in each turn, as the receiver counts them."""
    command = tied([sys.executable, "-m", "tests.bench.hook_receiver"])
    receiver = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert receiver.stdout is not None
    port = int(await receiver.stdout.readline())
    found: dict[str, list[float]] = {who: [] for who in (BARE_COURIER, HERALD)}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as asking:
            for turn in range(turns):
                await _bare(folder, port)
                found[BARE_COURIER].append(await _rate(asking))
                await _herald(bootstrap, f"{prefix}{turn}.", folder, port, asking)
                found[HERALD].append(await _rate(asking))
        return found
    finally:
        receiver.kill()
        await receiver.wait()


def _requests() -> list[DeliveryRequested]:
    places = product(range(EACH), range(AGENCIES))
    return [requested(release, 1, START, agency=f"agency-{number}") for release, number in places]


async def _bare(folder: Path, port: int) -> None:
    file = folder / "deliveries.jsonl"
    file.write_text("\n".join(one.alert.model_dump_json(exclude_none=True) for one in _requests()))
    command = [sys.executable, "-m", "tests.bench.bare_courier", str(file), str(port), str(AT_ONCE)]
    process = await asyncio.create_subprocess_exec(*tied(command))
    if await process.wait():
        raise RuntimeError("the bare loop failed")


async def _herald(bootstrap: str, prefix: str, folder: Path, port: int, asking: httpx.AsyncClient) -> None:
    env = {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder), "HERALD_DELIVERIES__AT_ONCE": str(AT_ONCE)}
    deployment = Deployment(bootstrap, prefix, folder, partitions=1, env=env)
    hook = {"channel": "webhook", "tier": "watch", "url": f"http://127.0.0.1:{port}/", "secrets": ["env:HOOK_SECRET"]}
    agency = {"name": "Agency", "endpoints": {"hook": hook | {"per_minute": 6000}}}
    whole = {"version": 1, "agencies": {f"agency-{n}": agency for n in range(AGENCIES)}}
    await deployment.prepare(Registry.model_validate_json(json.dumps(whole | {"allow_networks": ["127.0.0.0/8"]})))
    producer = deployment.connection.producer()
    await producer.start()
    sent = []
    for number, one in enumerate(_requests()):
        event = one.stamped(cause=str(number), ordinal=0, source="/services/notifier", time=START)
        topic = deployment.connection.topic("deliveries")
        sent.append(await producer.send(topic, encode(event), key=one.subject().encode()))
    await asyncio.gather(*sent)
    await producer.stop()
    deployment.start("deliveries")
    try:
        await deployment.ready()
        while (await asking.get("/")).json()["came"] < len(sent):  # reading the topic would take the worker's time
            await asyncio.sleep(0.1)
        outcomes = await deployment.settled("delivery-outcomes", len(sent))
    finally:
        deployment.stop()
    if len(outcomes) != len(sent):
        raise RuntimeError(f"{len(outcomes)} outcomes instead of {len(sent)}")


async def _rate(asking: httpx.AsyncClient) -> float:
    told = (await asking.delete("/")).json()
    if told["came"] != AGENCIES * EACH:
        raise RuntimeError(f"{told['came']} came instead of {AGENCIES * EACH}")
    return float(told["came"]) / float(told["seconds"])
