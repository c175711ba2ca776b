"""Who lets go of a producer while Kafka is silent or dead leaves nothing that runs or is connected."""

import asyncio
import os
import signal

import pytest

from services.embedded.broker import Broker
from services.gateway.door.writer import Writer
from services.kernel.connection import Connection
from services.kernel.draft import Output
from services.kernel.provision import provision
from services.kernel.settings import KafkaSettings
from services.kernel.transaction import Transactions
from tests.broker.deployment import freeze
from tests.broker.flow import registry


def running(name: str) -> list[str]:
    """The tasks whose work is so named."""
    return [repr(task) for task in asyncio.all_tasks() if name in repr(task.get_coro())]


async def none_runs(name: str) -> None:
    """Waits a moment for those that have been told to end."""
    for _ in range(100):
        if not running(name):
            break
        await asyncio.sleep(0.05)
    assert running(name) == []


async def test_a_producer_that_cannot_stop_is_dropped_with_its_task_and_its_connections(own_broker: Broker) -> None:
    found = own_broker.status()
    assert found is not None
    connection = Connection(KafkaSettings(bootstrap_servers=found.bootstrap_servers, topic_prefix="drop."))
    await provision(connection, 1, registry())
    transactions = Transactions(connection, "windows-0")
    await transactions.start()
    output = Output("windows", b"k", b"{}")
    await transactions.write([output])
    await freeze(found.pid)
    try:
        writing = asyncio.create_task(transactions.write([output]))
        while not running("_send_produce_req") and not running("_do_add"):
            await asyncio.sleep(0.01)
        writing.cancel()
        await asyncio.wait([writing])
        await transactions.stop()
        await none_runs("Sender.")
        assert not any(one.connected() for one in transactions._producer.client._conns.values())
    finally:
        os.kill(found.pid, signal.SIGCONT)


@pytest.mark.timeout(120)
async def test_what_a_door_cannot_send_because_kafka_is_dead_does_not_keep_it(own_broker: Broker) -> None:
    found = own_broker.status()
    assert found is not None
    connection = Connection(KafkaSettings(bootstrap_servers=found.bootstrap_servers, topic_prefix="unsent."))
    await provision(connection, 1, registry())
    writer = Writer(connection)
    await writer.start()
    await writer.write(connection.topic("releases.lab-a"), b"{}")
    os.kill(found.pid, signal.SIGKILL)
    writing = asyncio.create_task(writer.write(connection.topic("releases.lab-a"), b"{}"))
    await asyncio.wait([writing], timeout=1)  # it tries again and again, and would do so for ever
    writing.cancel()
    await writer.stop()
    await none_runs("Sender.")
