"""What befalls a service while it starts: it is told to end, or a broker of several is away."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError, NodeNotReadyError

from services.kernel.runner import Runner
from services.kernel.settings import KafkaSettings, Settings
from services.windows.app import SERVICE
from tests.broker.deployment import Deployment
from tests.broker.flow import registry


async def runner(kafka: str, prefix: str, folder: Path) -> Runner:
    """A service in this process, on topics of its own."""
    await Deployment(kafka, prefix, folder, partitions=1).prepare(registry())
    return Runner(SERVICE, Settings(kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix=prefix), partitions=1))


async def test_told_to_end_while_it_starts_it_ends_and_does_not_say_that_it_failed(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await runner(kafka, "ends.", tmp_path)
    whole = found.broker.start

    async def start() -> None:
        await whole()
        found.app.exit()
        while found._subscriber.consumer is not None:  # until its end has begun to close what has just been opened
            await asyncio.sleep(0)

    monkeypatch.setattr(found.broker, "start", start)
    await found.run()


async def test_a_broker_that_is_away_while_it_starts_is_waited_for(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await runner(kafka, "away.", tmp_path)
    describe, ends, failures = AIOKafkaAdminClient.describe_topics, AIOKafkaConsumer.end_offsets, list[str]()

    async def asked_in_vain(admin: AIOKafkaAdminClient) -> Any:
        if "topics" in failures:
            return await describe(admin)
        failures.append("topics")
        raise NodeNotReadyError("the broker that was asked has just gone")

    async def no_leader(consumer: AIOKafkaConsumer, sources: list[Any]) -> Any:
        if sources[0].topic != "away.registry-versions" or "registry" in failures:
            return await ends(consumer, sources)
        failures.append("registry")
        raise KafkaTimeoutError("nobody leads the partition yet")

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_topics", asked_in_vain)
    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", no_leader)
    running = asyncio.create_task(found.run())
    while found.problems() and not running.done():
        await asyncio.sleep(0.05)
    found.app.exit()
    await running
    assert failures == ["topics", "registry"]
