"""Hostile records through the edge on a real Kafka: each is answered, no shard stops, memory stays flat."""

import asyncio
import re
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from services.gateway.state import BUCKETS, PER_BUCKET
from tests.broker.conftest import kafka  # noqa: F401 - the session's broker
from tests.broker.deployment import Deployment, Process
from tests.broker.flow import registry
from tests.broker.test_deployment import receipts, send, statement
from tests.chaos.hostile import Hostile, records
from tests.scale import scaled

SEED = 20270301
COUNT = scaled(10_000, 100_000)
THOUSAND = 1_000
SLACK_BYTES = 5 * 1024 * 1024
WARM_UP = 2 * BUCKETS * PER_BUCKET
"""So many events before the baseline is read: they fill what an edge remembers (under 3 MB), and full transactions
bring the heap to its working size (some 8 MB), which floods of a thousand reach only by and by."""


def resident(process: Process) -> int:
    """Resident memory in bytes."""
    text = Path(f"/proc/{process.popen.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) * 1024


def reopened(process: Process) -> bool:
    """Whether any shard had to reopen."""
    with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/metrics", timeout=5) as answer:
        return b"herald_shard_reopened_total{" in answer.read()


async def flood(deployment: Deployment, hostile: list[Hostile]) -> None:
    """Writes them to lab-a's edge, in order."""
    producer = deployment.connection.producer()
    await producer.start()
    try:
        topic = deployment.connection.topic("releases.lab-a")
        sent = [await producer.send(topic, one.value, key=b"", headers=list(one.headers)) for one in hostile]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


@pytest.mark.timeout(1800)
async def test_each_hostile_record_is_answered_no_shard_stops_and_memory_stays_flat(
    kafka: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    deployment = Deployment(kafka, "hostile.", tmp_path)
    try:
        await deployment.prepare(registry())
        (gateway, _) = deployment.start("gateway", "announcements")
        await deployment.ready()
        hostile = list(records(SEED, COUNT))
        await flood(deployment, [Hostile("warm-up", b'{"id": "w%d"}' % n, True) for n in range(WARM_UP)])
        memory = []
        for start in range(0, COUNT, THOUSAND):
            await flood(deployment, hostile[start : start + THOUSAND])
            await send(deployment, "releases.lab-a", statement("sound", f"sound-{start}", handling=str(start)))
            await receipts(deployment, "lab-a", f"sound-{start}")
            memory.append(resident(gateway))
        found = [e for e in await deployment.events("receipts.lab-a") if e["type"] == "herald.receipt.refused.v1"]
        letters = await deployment.read("dead-letters", 6)
        assert len(found) == WARM_UP + COUNT, Counter(e["data"]["reasons"][0]["code"] for e in found)
        assert sorted(r.value or b"" for r in letters) == sorted(h.value or b"" for h in hostile if not h.readable)
        assert not reopened(gateway)
        # What is in flight moves a single reading by some megabytes; a leak moves the lowest of the last ones.
        assert min(memory[-3:]) - max(memory[1:3]) < SLACK_BYTES, memory
    finally:
        deployment.stop()
