"""From announce to read-committed alert, over four hops, at a steady rate: Herald beside Kafka Streams."""

import asyncio
import re
import time
from pathlib import Path

from aiokafka import TopicPartition

from tests.bench import material
from tests.bench.bounds import DEFAULTS, HERALD, QUICK
from tests.bench.streams import HOPS, Streams, make_topics
from tests.broker.deployment import Deployment

PARTITIONS = 1
"""Herald's default, on both sides. With six Kafka Streams is quicker, and Herald slower: docs/bench.md."""

RELEASES = 30
WARM_UP_SECONDS = 5
CONTESTANTS = {HERALD: None, DEFAULTS: 0, QUICK: 10}
"""The commit interval of each peer."""

_NUMBER = re.compile(rb"Statement (\d+)\.")


async def run(
    who: str, bootstrap: str, prefix: str, folder: Path, classpath: str, rates: dict[int, int]
) -> dict[int, list[float]]:
    """Milliseconds of each event, by rate. `rates`: events a second → seconds."""
    deployment = Deployment(bootstrap, prefix, folder, partitions=PARTITIONS)
    commit_ms = CONTESTANTS[who]
    if commit_ms is None:
        await deployment.prepare(material.registry(3))
        deployment.start()
        try:
            await deployment.ready()
            return await _at_rates(deployment, f"releases.{material.LAB}", "alerts.agency-0", 1, rates)
        finally:
            deployment.stop()
    await make_topics(deployment.connection, PARTITIONS)
    with Streams(classpath, bootstrap, prefix, commit_ms):
        return await _at_rates(deployment, HOPS[0], HOPS[-1], PARTITIONS, rates)


async def _at_rates(
    deployment: Deployment, source: str, target: str, partitions: int, rates: dict[int, int]
) -> dict[int, list[float]]:
    consumer, producer = deployment.connection.consumer(fetch_max_wait_ms=100), deployment.connection.producer()
    await consumer.start()
    await producer.start()
    topic = deployment.connection.topic(target)
    consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
    sent: dict[int, float] = {}
    taken: dict[int, float] = {}

    async def take() -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                now = time.perf_counter()
                for record in records:
                    found = _NUMBER.search(record.value)
                    taken[int(found[1]) if found else -1] = now

    taking = asyncio.create_task(take())
    try:
        found, number = {}, 0
        for rate, seconds in rates.items():
            first = number + rate * WARM_UP_SECONDS
            for _ in range(rate * (WARM_UP_SECONDS + seconds)):
                began = time.perf_counter()
                value = material.statement(number, RELEASES)
                key = f"m-{number % RELEASES}".encode()
                sent[number] = time.perf_counter()
                await producer.send(deployment.connection.topic(source), value, key=key)
                number += 1
                await asyncio.sleep(max(0.0, 1 / rate - (time.perf_counter() - began)))
            await _all(taken, number)
            found[rate] = [1000 * (taken[one] - sent[one]) for one in range(first, number)]
        return found
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await producer.stop()
        await consumer.stop()


async def _all(taken: dict[int, float], count: int) -> None:
    for _ in range(600):
        if len(taken) >= count:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{len(taken)} of {count} came out")
