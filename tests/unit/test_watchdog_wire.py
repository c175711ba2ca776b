"""How several watchdogs share what they watch: not at all. And what one does whose client waits for ever."""

import asyncio
from datetime import timedelta
from functools import partial
from unittest.mock import AsyncMock

import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.protocol.metadata import MetadataResponse_v0

from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.ending import ended
from services.kernel.settings import KafkaSettings
from services.watchdog import patrol
from services.watchdog.patrol import Patrol
from services.watchdog.wire import HEARD, Wire

ALERTS = TopicPartition("alerts", 0)


def wire() -> Wire:
    """One that reaches nothing."""
    return Wire(Connection(KafkaSettings(bootstrap_servers="127.0.0.1:9")))


async def test_one_of_several_watchdogs_gets_all_that_they_hear_and_joins_their_group_in_one_request() -> None:
    """A second strategy would be a second request, which throws the group back into sharing out."""
    (strategy,) = wire()._consumer._partition_assignment_strategy
    cluster = ClusterMetadata()
    topics = [(0, name, [(0, 0, 1, [1], [1])]) for name in HEARD]
    cluster.update_metadata(MetadataResponse_v0([(1, "127.0.0.1", 9092)], topics))
    members = {name: strategy.metadata(HEARD) for name in ("first", "second", "third")}
    shared = strategy.assign(cluster, members)
    got = [sorted(topic for topic, partitions in each.assignment if partitions) for each in shared.values()]
    assert sorted(got) == [[], [], sorted(HEARD)]
    assert strategy.name == RoundRobinPartitionAssignor.name  # an earlier watchdog knows no other


@pytest.mark.parametrize("comes_back", [False, True])
async def test_who_loses_its_topics_while_it_goes_back_to_the_last_alerts_is_not_on_duty(
    comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = wire()

    async def go_back() -> int:
        await one.on_partitions_revoked([ALERTS])
        await one.on_partitions_assigned([ALERTS] if comes_back else [])
        return 7

    monkeypatch.setattr(one, "_go_back", go_back)
    await one.on_partitions_assigned([ALERTS])
    assert await one.begin() is False
    assert one.on_duty is False
    monkeypatch.setattr(one, "_go_back", lambda: asyncio.sleep(0, 7))
    assert await one.begin() is comes_back
    assert one.on_duty is comes_back


async def test_a_watchdog_whose_client_waits_for_ever_goes_on_with_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    one, done = wire(), asyncio.Event()
    happened: list[str] = []

    async def turn() -> None:
        happened.append("turn")
        if happened.count("turn") == 2:
            done.set()
        await asyncio.Event().wait()

    for name in ("start", "stop"):
        monkeypatch.setattr(one, name, AsyncMock(side_effect=partial(happened.append, name)))
    watching = Patrol(one, SystemClock(), timedelta(minutes=1))
    monkeypatch.setattr(watching, "_turn", turn)
    monkeypatch.setattr(patrol, "STUCK_SECONDS", 0.01)
    first = one._consumer
    running = asyncio.create_task(watching.run())
    await asyncio.wait_for(done.wait(), 10)
    await ended(running)
    assert happened[:5] == ["start", "turn", "stop", "start", "turn"]
    assert one._consumer is not first
