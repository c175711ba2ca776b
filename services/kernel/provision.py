"""Makes the topics of the contract, and the genesis record in each state partition."""

import asyncio
import time

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from schemas.registry import Registry
from schemas.topics import SERVICES, TOPICS, Topic
from services.kernel.connection import Connection
from services.kernel.letting_go import let_go

GENESIS = b"!genesis"
"""Key of the record that says: this state partition was made, and is not lost."""

AT_ONCE = 200
"""Topics in one request: a controller takes at most 10,000 records for it, and a partition or a setting is a record."""

SHOWN_SECONDS = 120

EVERYBODYS = ("registry-versions", "replays")
"""Inputs that stand there before a service that is new: no sign that it has worked."""


class ProvisionError(Exception):
    """Kafka did not make a topic, or has it with another number of partitions; one line for people."""


def names(topic: Topic, registry: Registry) -> list[str]:
    """The contract's topic names that a family stands for under this registry."""
    fields: dict[str, list[str]] = {
        "{lab}": list(registry.labs),
        "{agency}": list(registry.agencies),
        "{participant}": [*registry.labs, *registry.agencies],
        "{service}": list(SERVICES),
    }
    for placeholder, values in fields.items():
        if placeholder in topic.name:
            return [topic.name.replace(placeholder, value) for value in values]
    return [topic.name]


async def provision(connection: Connection, partitions: int, registry: Registry, *, dry_run: bool = False) -> list[str]:
    """Makes what is missing; returns the contract's names of the topics made. Repeating it changes nothing.

    `dry_run`: only says which.

    Raises ProvisionError when a topic stands there with another number of partitions, cannot be made, or is a
    state that was lost.
    """
    wanted = {name: (topic, 1 if topic.single else partitions) for topic in TOPICS for name in names(topic, registry)}
    admin = connection.admin()
    try:
        await admin.start()
        described = await admin.describe_topics()
        there = {connection.logical(t["topic"]): len(t["partitions"]) for t in described}
        for name, (_, count) in wanted.items():
            if there.get(name, count) != count:
                raise ProvisionError(
                    f"topic {connection.topic(name)} has {there[name]} partitions, HERALD_PARTITIONS asks for {count}: "
                    "the number is fixed when a deployment is provisioned"
                )
        missing = [name for name in wanted if name not in there]
        for name in missing:
            if name.startswith("state."):
                await _check_new(connection, name, {one: wanted[one] for one in wanted.keys() & there.keys()})
        if dry_run:
            return missing
        await _make(connection, admin, {name: wanted[name] for name in missing})
    finally:
        await admin.close()
    await _genesis(connection, partitions, {name for name in missing if name.startswith("state.")})
    return missing


async def ensure(connection: Connection, name: str) -> None:
    """Makes one topic of one partition if it is missing. Raises ProvisionError when it cannot be made."""
    admin = connection.admin()
    try:
        await admin.start()
        if connection.topic(name) not in await admin.list_topics():
            (topic,) = (one for one in TOPICS if one.name == name)
            await _make(connection, admin, {name: (topic, 1)})
    finally:
        await admin.close()


async def _make(connection: Connection, admin: AIOKafkaAdminClient, wanted: dict[str, tuple[Topic, int]]) -> None:
    replication = connection.settings.replication_factor
    new = [
        NewTopic(connection.topic(name), count, replication, topic_configs=topic.config())
        for name, (topic, count) in wanted.items()
    ]
    for first in range(0, len(new), AT_ONCE):
        response = await admin.create_topics(new[first : first + AT_ONCE])
        for topic, code, *message in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise ProvisionError(f"topic {topic} was not made: {error.__name__} {message[0] if message else ''}")
    await _shown(admin, {topic.name for topic in new})


async def _shown(admin: AIOKafkaAdminClient, made: set[str]) -> None:
    """Waits until Kafka shows what its controller has made: thousands of topics take a broker some time."""
    until = time.monotonic() + SHOWN_SECONDS
    while missing := made - set(await admin.list_topics()):
        if time.monotonic() > until:
            raise ProvisionError(
                f"Kafka made {len(made)} topics and does not show {len(missing)} of them after {SHOWN_SECONDS} s; "
                "apply the registry again"
            )
        await asyncio.sleep(0.1)


async def _check_new(connection: Connection, state: str, there: dict[str, tuple[Topic, int]]) -> None:
    """A state topic is made for a service that is new. Made anew, it would have all decided, and told, once more."""
    service = state.removeprefix("state.")
    inputs = [
        TopicPartition(connection.topic(name), partition)
        for name, (topic, count) in there.items()
        if service in topic.readers and topic.cleanup == "delete" and name not in EVERYBODYS
        for partition in range(count)
    ]
    if not inputs:
        return
    consumer = connection.consumer()
    try:
        await consumer.start()
        ends = await consumer.end_offsets(inputs)
    finally:
        await consumer.stop()
    for source, end in ends.items():
        if end:
            raise ProvisionError(state_lost(connection, state, source.topic))


def state_lost(connection: Connection, state: str, held: str) -> str:
    """The one line for people about a state topic that is missing."""
    return (
        f"topic {connection.topic(state)} is missing although {held} is there: its state was lost. It is not made "
        "anew, since everything would be told again: restore a back-up (deploy/runbook.md)"
    )


async def _genesis(connection: Connection, partitions: int, state_topics: set[str]) -> None:
    if not state_topics:
        return
    producer = connection.producer()
    await producer.start()
    try:
        for name in sorted(state_topics):
            for partition in range(partitions):
                await producer.send_and_wait(connection.topic(name), key=GENESIS, value=b"{}", partition=partition)
    finally:
        await let_go(producer)
