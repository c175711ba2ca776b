"""A shard that lets go of its producer while Kafka is silent leaves nothing that runs or is connected."""

import asyncio
import os
import signal

from services.embedded.broker import Broker
from services.kernel.connection import Connection
from services.kernel.draft import Output
from services.kernel.provision import provision
from services.kernel.settings import KafkaSettings
from services.kernel.transaction import Transactions
from tests.broker.flow import registry


def running(name: str) -> list[str]:
    """The tasks whose work is so named."""
    return [repr(task) for task in asyncio.all_tasks() if name in repr(task.get_coro())]


async def test_a_producer_that_cannot_stop_is_dropped_with_its_task_and_its_connections(own_broker: Broker) -> None:
    found = own_broker.status()
    assert found is not None
    connection = Connection(KafkaSettings(bootstrap_servers=found.bootstrap_servers, topic_prefix="drop."))
    await provision(connection, 1, registry())
    transactions = Transactions(connection, "windows-0")
    await transactions.start()
    output = Output("windows", b"k", b"{}")
    await transactions.write([output])
    os.kill(found.pid, signal.SIGSTOP)
    try:
        writing = asyncio.create_task(transactions.write([output]))
        while not running("_send_produce_req") and not running("_do_add"):
            await asyncio.sleep(0.01)
        writing.cancel()
        await asyncio.wait([writing])
        await transactions.stop()
        for _ in range(100):
            if not running("Sender."):
                break
            await asyncio.sleep(0.05)
        assert running("Sender.") == []
        assert not any(one.connected() for one in transactions._producer.client._conns.values())
    finally:
        os.kill(found.pid, signal.SIGCONT)
