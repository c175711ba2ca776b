"""What a Kafka user reaches, tried out with clients of confluent-kafka: nothing of Herald's code takes part."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

SECONDS = 30


def settings(bootstrap_servers: str, cafile: Path, user: str, password: str) -> dict[str, Any]:
    """A login as these clients take it."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(cafile),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": password,
        "log_level": 0,
    }


def listed(login: dict[str, Any]) -> set[str]:
    """Every topic that is shown to this user."""
    return set(AdminClient(login).list_topics(timeout=SECONDS).topics)


def soon(condition: Callable[[], bool]) -> bool:
    """Whether something becomes true: a broker follows the users and the list that its controller keeps."""
    until = time.monotonic() + SECONDS
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


@contextmanager
def connected(login: dict[str, Any]) -> Iterator[Callable[[], set[str]]]:
    """One connection that stays open, over which every topic that is shown to this user is listed again and again.

    A client of confluent-kafka closes its first connection when it knows the broker, and opens the next when it likes:
    after a revocation it may have to say anew who it is, and is refused.
    """
    host, port = login["bootstrap.servers"].split(":")
    how = {
        "security_protocol": login["security.protocol"],
        "ssl_context": ssl.create_default_context(cafile=login["ssl.ca.location"]),
        "sasl_mechanism": login["sasl.mechanism"],
        "sasl_plain_username": login["sasl.username"],
        "sasl_plain_password": login["sasl.password"],
        "request_timeout_ms": SECONDS * 1000,
    }
    with asyncio.Runner() as runner:
        connection = runner.run(create_conn(host, int(port), **how))

        async def listed() -> set[str]:
            return {topic for _, topic, *_ in (await connection.send(MetadataRequest())).topics}

        yield lambda: runner.run(listed())
        connection.close()


def refusal(login: dict[str, Any]) -> int | None:
    """The first that Kafka lets this client know, or this client thinks of Kafka; None where it gets in."""
    said: list[KafkaError] = []
    admin = AdminClient(login | {"error_cb": said.append})
    until = time.monotonic() + SECONDS
    while not said:
        assert time.monotonic() < until, "neither in nor refused"
        try:
            admin.list_topics(timeout=0.3)
        except KafkaException:
            admin.poll(0.1)
        else:
            return None
    return said[0].code()


def is_refused(login: dict[str, Any]) -> bool:
    """Whether Kafka does not take who this client says it is."""
    return refusal(login) == KafkaError._AUTHENTICATION


def answers_strangers(address: str, cafile: Path | None = None) -> bool:
    """Whether a listener tells a client that has not said who it is which topics there are. `cafile`: over TLS."""
    host, port = address.split(":")
    # A metadata request in version 4, about all topics: length, key, version, correlation id, client id; null, false.
    request = struct.pack(">hhih4sib", 3, 4, 1, 4, b"test", -1, 0)
    with ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=SECONDS))
        if cafile is not None:
            context = ssl.create_default_context(cafile=str(cafile))
            connection = stack.enter_context(context.wrap_socket(connection, server_hostname=host))
        connection.sendall(struct.pack(">i", len(request)) + request)
        try:
            return connection.recv(8)[4:] == struct.pack(">i", 1)
        except ConnectionResetError:
            return False


def readable(login: dict[str, Any], topics: Iterable[str]) -> set[str]:
    """Those of the topics that this user gets to read. Each that it may know is answered one way or the other."""
    consumer = Consumer(login | {"group.id": "none", "enable.partition.eof": True, "enable.auto.commit": False})
    # Of a topic that it may not even know, this client says nothing at all when it is told to read it.
    shown = [topic for topic in topics if consumer.list_topics(topic, timeout=SECONDS).topics[topic].error is None]
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in shown])
    answers: dict[str, bool] = {}
    until = time.monotonic() + SECONDS
    try:
        while answers.keys() < set(shown):
            assert time.monotonic() < until, f"no answer about {set(shown) - answers.keys()}"
            message = consumer.poll(1)
            if message is None or not (topic := message.topic()):
                continue
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                answers[topic] = True
            else:
                assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, error
                answers[topic] = False
    finally:
        consumer.close()
    return {topic for topic, answer in answers.items() if answer}


def writable(login: dict[str, Any], topics: Iterable[str]) -> set[str]:
    """Those of the topics to which this user may write.

    What is sent is larger than the topic takes: Kafka asks who may write before it looks at what, and nothing is left.
    """
    answers: dict[str, KafkaError | None] = {}
    producer = Producer(login | {"message.timeout.ms": SECONDS * 1000, "linger.ms": 0, "message.max.bytes": 2**24})
    for topic in topics:

        def delivered(error: KafkaError | None, _: Any, topic: str = topic) -> None:
            answers[topic] = error

        answers[topic] = _refusal(
            partial(producer.produce, topic, _too_large(topic), b"probe", partition=0, on_delivery=delivered)
        )
    assert producer.flush(SECONDS) == 0
    refused = {topic for topic, error in answers.items() if _code(error) == KafkaError.TOPIC_AUTHORIZATION_FAILED}
    taken = {topic for topic, error in answers.items() if _code(error) == KafkaError.MSG_SIZE_TOO_LARGE}
    assert refused | taken == set(topics), answers
    return taken


def _too_large(topic: str) -> bytes:
    mebibytes = 9 if "registry" in topic else 5 if "state." in topic else 2
    return bytes(mebibytes * 2**20)


def usable_groups(login: dict[str, Any], groups: Iterable[str], topic: str) -> set[str]:
    """Those of the groups in which this user may commit an offset of a topic that it reads."""
    admin = AdminClient(login)
    futures = {
        group: admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 0)])], request_timeout=SECONDS
        )[group]
        for group in groups
    }

    def committed(future: Any) -> None:
        (partition,) = future.result(SECONDS).topic_partitions
        if partition.error is not None:  # whoever may know of the group is refused only here
            raise KafkaException(partition.error)

    refused = KafkaError.GROUP_AUTHORIZATION_FAILED
    return {group for group, one in futures.items() if _is_granted(_refusal(partial(committed, one)), refused)}


def usable_transactions(login: dict[str, Any], ids: Iterable[str]) -> set[str]:
    """Those of the transactional ids that this user may take, and with that fence their owner."""

    def may(one: str) -> bool:
        refusal = _refusal(lambda: Producer(login | {"transactional.id": one}).init_transactions(SECONDS))
        return _is_granted(refusal, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)

    chosen = list(ids)
    with ThreadPoolExecutor(len(chosen)) as threads:
        return {one for one, answer in zip(chosen, threads.map(may, chosen), strict=True) if answer}


def may_make_topics(login: dict[str, Any]) -> bool:
    """Whether this user may make a topic, and so perhaps one that another will need."""
    admin = AdminClient(login)
    future = admin.create_topics([NewTopic("herald.receipts.new", 1, 1)], validate_only=True)
    return _granted(future["herald.receipts.new"], KafkaError.TOPIC_AUTHORIZATION_FAILED)


def _granted(future: Any, refusal: int) -> bool:
    return _is_granted(_refusal(lambda: future.result(SECONDS)), refusal)


def _refusal(attempt: Callable[[], object]) -> KafkaError | None:
    try:
        attempt()
    except KafkaException as raised:
        error: KafkaError = raised.args[0]
        return error
    return None


def _code(error: KafkaError | None) -> int | None:
    return error.code() if error is not None else None


def _is_granted(error: KafkaError | None, refusal: int) -> bool:
    """Anything but a grant and the one refusal that is expected is a fault of the test."""
    assert error is None or error.code() == refusal, error
    return error is None
