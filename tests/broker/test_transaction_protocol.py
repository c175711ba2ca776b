"""The second transaction protocol (KIP-890), which Herald writes itself: on a real Kafka, beside a plain consumer."""

import random
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.admin import NewTopic
from aiokafka.errors import ConcurrentTransactions, ProducerFenced, RequestTimedOutError

from services.embedded.broker import Broker
from services.embedded.distribution import locate
from services.kernel import frames
from services.kernel.connection import Connection
from services.kernel.draft import Output
from services.kernel.producer import TransactionalProducer
from services.kernel.records import records
from services.kernel.settings import KafkaSettings
from services.kernel.transaction import Transactions
from tests.scale import long_run

Answer = Callable[[str, Any], Any]
"""What comes back of a request of this name, for which Kafka's answer is given."""

EPOCHS = 32_767
"""A producer id has no more: the largest number of 16 bits with a sign."""

TOPICS = ("windows", "announcements", "alerts")


@asynccontextmanager
async def own_topics(bootstrap: str, prefix: str) -> AsyncIterator[Connection]:
    """Some topics of the test's own."""
    connection = Connection(KafkaSettings(bootstrap_servers=bootstrap, topic_prefix=prefix))
    admin = connection.admin()
    await admin.start()
    try:
        await admin.create_topics([NewTopic(connection.topic(topic), 1, 1) for topic in TOPICS])
        yield connection
    finally:
        await admin.close()


@asynccontextmanager
async def owner(connection: Connection) -> AsyncIterator[Transactions]:
    """A shard's transactions, started."""
    transactions = Transactions(connection, "owner")
    await transactions.start()
    try:
        yield transactions
    finally:
        await transactions.stop()


def told(number: int) -> list[Output]:
    """The outputs of one transaction: one record to each topic."""
    return [Output(topic, b"key", str(number).encode(), 0) for topic in TOPICS]


async def committed(connection: Connection) -> list[list[int]]:
    """All that a read-committed consumer finds in each topic."""
    return [[int(record.value) async for record in records(connection, topic)] for topic in TOPICS]


async def leave_open(connection: Connection, transactions: Transactions) -> TransactionalProducer:
    """Writes in a transaction that has not ended; gives its producer."""
    producer: TransactionalProducer = transactions._producer
    await producer.begin_transaction()
    await producer.send_and_wait(connection.topic("windows"), b"99", key=b"key", partition=0)
    return producer


def spied(transactions: Transactions, answer: Answer = lambda name, found: found) -> list[str]:
    """The requests that go out from now on, by name; `answer` sees what comes back first."""
    producer: TransactionalProducer = transactions._producer
    send = producer.client.send
    names: list[str] = []

    async def noted(node: int, request: Any, **arguments: Any) -> Any:
        names.append(type(request).__name__)
        return answer(names[-1], await send(node, request, **arguments))

    producer.client.send = noted
    return names


def once(kind: str, changed: Callable[[Any], Any]) -> Answer:
    """Has the answer to the first request of a kind, which Kafka has carried out, come back changed or not at all."""
    left = [kind]

    def answer(name: str, found: Any) -> Any:
        if name not in left:
            return found
        left.clear()
        return changed(found)

    return answer


def lost(found: Any) -> Any:
    """No answer comes."""
    raise RequestTimedOutError


def busy(found: frames.ProduceResponse) -> frames.ProduceResponse:
    """The markers of the last transaction are still being written."""
    topics = [
        (topic, [(number, ConcurrentTransactions.errno, *rest) for number, _, *rest in partitions])
        for topic, partitions in found.topics
    ]
    return frames.ProduceResponse(topics, found.throttle_time_ms)


async def test_a_transaction_names_no_partitions_first_and_has_an_epoch_of_its_own(kafka: str) -> None:
    async with own_topics(kafka, "unnamed.") as connection, owner(connection) as transactions:
        names, epochs = spied(transactions), []
        for number in range(3):
            await transactions.write(told(number))
            epochs.append(transactions._producer._txn_manager.producer_epoch)
        assert set(names) == {"Produce", "EndTxn"}
        assert names.count("EndTxn") == 3
        assert epochs == [epochs[0], epochs[0] + 1, epochs[0] + 2]
        assert await committed(connection) == [[0, 1, 2]] * 3


@pytest.mark.parametrize("kind", ["Produce", "EndTxn"])
async def test_what_kafka_did_without_its_answer_coming_back_is_done_once(kafka: str, kind: str) -> None:
    async with own_topics(kafka, f"lost-{kind.lower()}.") as connection, owner(connection) as transactions:
        await transactions.write(told(0))
        names = spied(transactions, once(kind, lost))
        for number in (1, 2):
            await transactions.write(told(number))
        assert names.count(kind) >= 3, "its answer was not lost"
        assert await committed(connection) == [[0, 1, 2]] * 3


async def test_batches_that_meet_the_markers_of_the_last_transaction_are_sent_again(kafka: str) -> None:
    async with own_topics(kafka, "markers.") as connection, owner(connection) as transactions:
        names = spied(transactions, once("Produce", busy))
        await transactions.write(told(0))
        assert names.count("Produce") >= 2
        assert await committed(connection) == [[0]] * 3


async def test_an_older_owner_is_fenced_and_what_it_had_open_is_never_seen(kafka: str) -> None:
    async with own_topics(kafka, "older.") as connection, owner(connection) as old:
        await old.write(told(0))
        producer = await leave_open(connection, old)
        async with owner(connection) as new:
            await new.write(told(1))
            with pytest.raises(ProducerFenced):
                await producer.send_and_wait(connection.topic("windows"), b"98", key=b"key", partition=0)
            await new.write(told(2))
        assert await committed(connection) == [[0, 1, 2]] * 3


async def test_who_is_overtaken_before_its_commit_learns_that_it_was_fenced(kafka: str) -> None:
    async with own_topics(kafka, "overtaken.") as connection, owner(connection) as old:
        producer = await leave_open(connection, old)
        async with owner(connection) as new:
            await new.write(told(0))
            with pytest.raises(ProducerFenced):
                await producer.commit_transaction()
        assert await committed(connection) == [[0]] * 3


@long_run
@pytest.mark.timeout(1800)
async def test_when_the_epochs_of_a_producer_id_are_used_up_the_next_one_goes_on(own_broker: Broker) -> None:
    running = own_broker.status()
    assert running is not None
    count, losses = EPOCHS + 300, random.Random(890)

    def answer(name: str, found: Any) -> Any:
        near = abs(producer._txn_manager.producer_epoch - EPOCHS) < 20
        if losses.random() < (0.2 if near else 0.0002):
            raise RequestTimedOutError
        return found

    async with own_topics(running.bootstrap_servers, "epochs.") as connection, owner(connection) as transactions:
        producer = transactions._producer
        first = producer._txn_manager.producer_id
        spied(transactions, answer)
        for number in range(count):
            await transactions.write(told(number))
        assert producer._txn_manager.producer_id != first
        assert await committed(connection) == [list(range(count))] * 3


@pytest.mark.timeout(180)
async def test_where_the_cluster_has_not_agreed_on_it_partitions_are_named_as_before(own_broker: Broker) -> None:
    running = own_broker.status()
    assert running is not None
    bootstrap = running.bootstrap_servers
    downgraded(bootstrap)
    async with own_topics(bootstrap, "first.") as connection, owner(connection) as transactions:
        names = spied(transactions)
        for number in range(3):
            await transactions.write(told(number))
        assert set(names) == {"AddPartitionsToTxnRequest", "ProduceRequest", "EndTxnRequest"}
        assert await committed(connection) == [[0, 1, 2]] * 3


def downgraded(bootstrap: str) -> None:
    """Takes a cluster back to the first protocol, with Kafka's own tool."""
    command = [*locate(print).command(), "org.apache.kafka.tools.FeatureCommand", "--bootstrap-server", bootstrap]
    command += ["downgrade", "--feature", "transaction.version=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
