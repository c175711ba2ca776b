"""Whoever is told to end while Kafka is away ends in time: whoever supervises it would kill it soon."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from services.cli.exchange import exchange
from services.embedded.broker import Broker
from tests.broker import doorway
from tests.broker.deployment import Deployment, freeze
from tests.broker.flow import registry, release
from tests.scale import long_run

SECONDS = 25
"""Kubernetes and Compose, as Herald is deployed there, wait for 30."""


@pytest.mark.parametrize(
    "how", [signal.SIGSTOP, pytest.param(signal.SIGKILL, marks=long_run)], ids=["frozen", "killed"]
)
async def test_every_process_that_is_told_to_end_while_kafka_is_away_ends_in_time_and_without_a_failure(
    how: signal.Signals, own_broker: Broker, tmp_path: Path
) -> None:
    found = own_broker.status()
    assert found is not None
    kafka = found.bootstrap_servers
    async with doorway.opened(kafka, "ending.", tmp_path, registry(), ["lab-a"], ("deliveries", "watchdog")) as door:
        os.kill(found.pid, how)
        try:
            asking = asyncio.create_task(door.post("lab-a", "/v1/releases", json=release("last")))
            await asyncio.wait([asking], timeout=2)  # what it says waits to be sent
            for process in door.deployment.processes:
                process.signal(signal.SIGTERM)
            until = time.monotonic() + SECONDS
            while any(one.popen.poll() is None for one in door.deployment.processes) and time.monotonic() < until:
                await asyncio.sleep(0.05)
            ended = {one.name: one.popen.poll() for one in door.deployment.processes}
            with suppress(httpx.HTTPError):
                await asking
        finally:
            if how == signal.SIGSTOP:
                os.kill(found.pid, signal.SIGCONT)
        assert {name: code for name, code in ended.items() if code != 0} == {}


async def test_a_command_that_kafka_leaves_before_it_confirms_says_so_and_ends_in_time(
    own_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = own_broker.status()
    assert found is not None
    deployment = Deployment(found.bootstrap_servers, "left.", tmp_path, partitions=1)
    await deployment.prepare(registry())
    sought = AIOKafkaConsumer.seek_to_end

    async def last_answer(consumer: AIOKafkaConsumer, *sources: object) -> None:
        await sought(consumer, *sources)
        await freeze(found.pid)

    monkeypatch.setattr(AIOKafkaConsumer, "seek_to_end", last_answer)
    try:
        async with asyncio.timeout(SECONDS):
            outcome = await exchange(deployment.connection, "releases", "lab-a", {"id": "left"}, seconds=2)
    finally:
        os.kill(found.pid, signal.SIGCONT)
    assert outcome.receipt is None
    assert "did not confirm the event" in outcome.known
