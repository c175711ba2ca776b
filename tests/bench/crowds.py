"""Many at once: timers due within a minute, agencies told of one window, labs that announce."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer

from tests.bench import material
from tests.bench.restoring import fill, live
from tests.bench.throughput import at_the_end
from tests.broker.deployment import Deployment

AHEAD_SECONDS = 20
"""So far ahead the first timer is due: until then the service has read its state."""

SECONDS = 300
EACH = 4
"""Statements of a lab."""


async def timers(count: int, within: float, bootstrap: str, prefix: str, folder: Path) -> list[float]:
    """Milliseconds from due to appended, of windows that open evenly within so many seconds."""
    deployment = Deployment(bootstrap, prefix, folder, partitions=1)
    await deployment.prepare(material.registry(1))
    first = datetime.now(UTC) + timedelta(seconds=AHEAD_SECONDS)
    await fill(deployment.connection, live(count, first, timedelta(seconds=within) / count))
    reader = await at_the_end(deployment, ["windows"], 1)
    deployment.start("windows")
    try:
        await deployment.ready()
        opened = await _taken(reader, count)
    finally:
        deployment.stop()
    return sorted(record.timestamp - _milliseconds(json.loads(record.value)["data"]["due_at"]) for record in opened)


async def agencies(count: int, turns: int, bootstrap: str, prefix: str, folder: Path) -> list[tuple[float, float]]:
    """Seconds from one window's event to the first alert, and from the first alert to the last: one window a turn."""
    deployment = Deployment(bootstrap, prefix, folder, partitions=1)
    await deployment.prepare(material.registry(count))
    deployment.start("notifier")
    topics, found = [f"alerts.agency-{number}" for number in range(count)], []
    try:
        await deployment.ready()
        for turn in range(turns):
            (window,) = material.records("windows", 1, count, turn)
            reader = await at_the_end(deployment, topics, 1)
            given = await _send(deployment, [(window.topic, window.value or b"", window.key)])
            stamps = sorted(record.timestamp for record in await _taken(reader, count))
            found.append(((stamps[0] - given) / 1000, (stamps[-1] - stamps[0]) / 1000))
    finally:
        deployment.stop()
    return found


async def labs(count: int, bootstrap: str, prefix: str, folder: Path) -> tuple[float, float]:
    """Seconds until every service is ready, and from the first of all labs' statements at once to the last alert."""
    deployment = Deployment(bootstrap, prefix, folder)
    await deployment.prepare(material.registry(1, count))
    began = time.monotonic()
    deployment.start()
    try:
        await deployment.ready()
        ready = time.monotonic() - began
        said = [
            (f"releases.lab-{lab}", material.statement(number, EACH, lab=f"lab-{lab}"), b"k")
            for number in range(EACH)
            for lab in range(count)
        ]
        reader = await at_the_end(deployment, ["alerts.agency-0"], 1)
        first = await _send(deployment, said)
        last = max(record.timestamp for record in await _taken(reader, len(said)))
    finally:
        deployment.stop()
    return ready, (last - first) / 1000


async def _send(deployment: Deployment, records: list[tuple[str, bytes, bytes]]) -> int:
    """Writes records; when the first was appended, in milliseconds since 1970."""
    producer = deployment.connection.producer()
    await producer.start()
    try:
        topics = {deployment.connection.topic(topic) for topic, _, _ in records}
        for topic in topics:
            producer.client.add_topic(topic)
        for topic in topics:
            await producer.partitions_for(topic)
        sent = [await producer.send(deployment.connection.topic(t), value, key=key) for t, value, key in records]
        return int(min(done.timestamp for done in await asyncio.gather(*sent)))
    finally:
        await producer.stop()


async def _taken(reader: AIOKafkaConsumer, count: int) -> list[Any]:
    """So many records, after which the reader ends."""
    found: list[Any] = []
    try:
        until = time.monotonic() + SECONDS
        while len(found) < count:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(found)} of {count} within {SECONDS} s")
            for records in (await reader.getmany(timeout_ms=200)).values():
                found += records
        return found
    finally:
        await reader.stop()


def _milliseconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp() * 1000
