"""Makes the topics of the contract, and the genesis record in each state partition."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from schemas.registry import Registry
from schemas.topics import SERVICES, TOPICS, Topic
from services.kernel.connection import Connection

GENESIS = b"!genesis"
"""Key of the record that says: this state partition was made, and is not lost."""


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

    Raises ProvisionError when a topic stands there with another number of partitions, or cannot be made.
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
    response = await admin.create_topics(new)
    for topic, code, *message in response.topic_errors if new else ():
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise ProvisionError(f"topic {topic} was not made: {error.__name__} {message[0] if message else ''}")


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
        await producer.stop()
