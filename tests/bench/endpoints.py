"""Many endpoints, one in ten of them dead, beside the same without dead ones: both told the same, in turn."""

import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from schemas.envelope import encode
from schemas.registry import Registry
from services.deliveries.schedule import JITTER, RETRIES
from services.embedded.lifeline import tied
from services.embedded.ports import free
from tests.bench import usage
from tests.broker.deployment import Deployment
from tests.broker.receivers import SECRET
from tests.unit.endpoint_world import START, requested

AGENCIES, RELEASES, SEED = 25, 8, 20270301
COUNT, ROUNDS = 1000, 4
"""So many endpoints, told so many times in each round of the bench."""


@dataclass(slots=True)
class Contest:
    """What was found of one contestant: a p99 in milliseconds a round, and bytes of memory after it."""

    deployment: Deployment
    endpoints: list[tuple[str, str]]
    healthy: set[str]
    p99: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Found:
    """Both contestants, and how often the dead were tried, at most and in all."""

    without: Contest
    with_dead: Contest
    most_tries: int = 0
    tries: int = 0


async def run(bootstrap: str, prefix: str, folder: Path, count: int, rounds: int) -> Found:
    """Tells `count` endpoints in so many rounds. Raises RuntimeError where a retry is not as planned."""
    command = tied([sys.executable, "-m", "tests.bench.stamping_receiver"])
    receiver = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert receiver.stdout is not None
    ports = [int(port) for port in (await receiver.stdout.readline()).split()]
    contests: list[Contest] = []
    try:
        for number, has_dead in enumerate((False, True)):
            one = _contest(bootstrap, f"{prefix}{number}.", folder, ports, count, has_dead)
            contests.append(one)
            await one.deployment.prepare(_registry(one.endpoints, one.healthy, ports))
            one.deployment.start("deliveries")
            await one.deployment.ready()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}", timeout=60) as client:
            for turn in range(rounds):
                for one in contests if turn % 2 else reversed(contests):
                    await _round(one, turn, client)
        found = Found(without=contests[0], with_dead=contests[1])
        await _on_schedule(found)
        return found
    finally:
        for one in contests:
            one.deployment.stop()
        receiver.kill()
        await receiver.wait()


def _contest(bootstrap: str, prefix: str, folder: Path, ports: list[int], count: int, has_dead: bool) -> Contest:
    env = {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder)}
    names = [(f"agency-{number % AGENCIES}", f"e{number}") for number in range(count)]
    healthy = {endpoint for number, (_, endpoint) in enumerate(names) if number % 100 // 10 != 0}
    kept = [one for one in names if has_dead or one[1] in healthy]
    return Contest(Deployment(bootstrap, prefix, folder, partitions=1, env=env), kept, healthy)


def _registry(endpoints: list[tuple[str, str]], healthy: set[str], ports: list[int]) -> Registry:
    """The dead refuse connections, say nothing, drop them, or have a name that nobody knows."""
    takes, hangs, drops = ports
    dead = [f"http://127.0.0.1:{port}" for port in (free(), hangs, drops)] + ["https://nobody.invalid"]
    agencies: dict[str, Any] = {f"agency-{n}": {"name": "Agency", "endpoints": {}} for n in range(AGENCIES)}
    for agency, endpoint in endpoints:
        where = f"http://127.0.0.1:{takes}" if endpoint in healthy else dead[int(endpoint[1:]) % len(dead)]
        hook = {"channel": "webhook", "tier": "watch", "url": f"{where}/{endpoint}", "secrets": ["env:HOOK_SECRET"]}
        agencies[agency]["endpoints"][endpoint] = hook | {"per_minute": 600}
    whole = {"version": 1, "agencies": agencies, "allow_networks": ["127.0.0.0/8"]}
    return Registry.model_validate_json(json.dumps(whole))


async def _round(one: Contest, turn: int, client: httpx.AsyncClient) -> None:
    """One alert to each endpoint; the time of each healthy one from when Kafka was given it to its arrival."""
    events = list(_requests(one, turn))
    random.Random(SEED + turn).shuffle(events)
    producer = one.deployment.connection.producer()
    await producer.start()
    sent: dict[str, float] = {}
    waits: list[float] = []
    try:
        for endpoint, key, value in events:
            sent[f"/{endpoint}"] = time.monotonic()
            await producer.send(one.deployment.connection.topic("deliveries"), value, key=key)
        await producer.flush()
    finally:
        await producer.stop()
    while len(waits) < len(one.healthy):
        waits += [(at - sent[path]) * 1000 for path, _, at in (await client.get("/")).json()]
        await asyncio.sleep(0.1)
    one.p99.append(statistics.quantiles(waits, n=100)[98])
    (process,) = one.deployment.processes
    one.memory.append(usage.memory(process.popen.pid))


def _requests(one: Contest, turn: int) -> Iterator[tuple[str, bytes, bytes]]:
    for agency, endpoint in one.endpoints:
        asked = requested(turn % RELEASES, turn // RELEASES + 1, START, agency=agency, endpoint=endpoint)
        event = asked.stamped(cause=asked.delivery_id, ordinal=0, source="/services/notifier", time=START)
        yield endpoint, asked.subject().encode(), encode(event)


async def _on_schedule(found: Found) -> None:
    events = [one["data"] for one in await found.with_dead.deployment.events("delivery-outcomes")]
    failed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    tries: dict[str, int] = defaultdict(int)
    for event in events:
        if "retry_at" in event:
            failed[event["delivery_id"]].append(event)
            tries[event["endpoint"]] += 1
    for made in failed.values():
        earliest = None
        for event in made:
            at, retry_at = datetime.fromisoformat(event["at"]), datetime.fromisoformat(event["retry_at"])
            planned = RETRIES[event["attempts"] - 1]
            ends = planned * (1 + JITTER) + timedelta(milliseconds=1)
            if not planned <= retry_at - at <= ends or (earliest is not None and at < earliest):
                raise RuntimeError(f"a retry is not as planned: {event}")
            earliest = retry_at
    if tries.keys() & found.with_dead.healthy:
        raise RuntimeError("a healthy endpoint was not reached")
    found.most_tries, found.tries = max(tries.values(), default=0), sum(tries.values())
