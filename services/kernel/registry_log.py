"""The registry's versions in Kafka: read them, and add one in a transaction."""

from datetime import datetime

from aiokafka import TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced

from schemas.envelope import derived_id, encode, reader
from schemas.registry import Registry
from services.kernel.connection import Connection
from services.kernel.ledger import REGISTRY_TOPIC
from services.kernel.letting_go import let_go

IN_FORCE = 8
"""Offsets at the end that hold the version in force, but after many that were not committed."""


class RegistryConflict(Exception):
    """Another version was applied at the same time; one line for people."""


async def versions(connection: Connection, last: int | None = None) -> list[Registry]:
    """Every version still kept, oldest first; empty where nothing was ever applied.

    `last`: of so many offsets at the end alone, or of more where these hold none.
    """
    topic = connection.topic(REGISTRY_TOPIC)
    consumer = connection.consumer()
    try:
        await consumer.start()
        if topic not in await consumer.topics():
            return []
        source = TopicPartition(topic, 0)
        consumer.assign([source])
        first = (await consumer.beginning_offsets([source]))[source]
        end = (await consumer.end_offsets([source]))[source]
        start = first if last is None else max(first, end - last)
        while True:
            consumer.seek(source, start)
            found = []
            while await consumer.position(source) < end:
                for record in (await consumer.getmany(source, timeout_ms=200)).get(source, []):
                    found.append(reader(Registry).validate_json(record.value, extra="ignore").data)
            if found or start == first:
                return found
            start = max(first, end - 2 * (end - start))
    finally:
        await consumer.stop()


async def in_force(connection: Connection) -> Registry:
    """The registry in force; an empty one, version 0, where nothing was ever applied."""
    kept = await versions(connection, last=IN_FORCE)
    return kept[-1] if kept else Registry()


async def publish(connection: Connection, registry: Registry, now: datetime) -> None:
    """Adds a version, which whoever reads next finds. Raises RegistryConflict when its number is not the next one any
    more, and KafkaError when Kafka took it but is gone before it shows it.
    """
    prefix = connection.settings.topic_prefix
    producer = connection.transactional(f"{prefix}registry")
    await producer.start()  # from here another one's transaction is fenced
    try:
        if registry.version != (await in_force(connection)).version + 1:
            raise RegistryConflict("another version of the registry was applied meanwhile: look at it, and apply again")
        cause = derived_id("registry", registry.namespace, str(registry.version))
        value = encode(registry.stamped(cause=cause, ordinal=0, source="/services/registry", time=now))
        await producer.begin_transaction()
        sent = [
            await producer.send(connection.topic(topic), key=b"registry", value=value, partition=0)
            for topic in registry.topics()
        ]
        for future in sent:
            await future
        await producer.commit_transaction()
    except (ProducerFenced, IllegalOperation):  # the latter where that is known before anything was sent
        raise RegistryConflict("another `registry apply` overtook this one: look at it, and apply again") from None
    except KafkaError as error:
        raise RegistryConflict(
            f"nobody knows whether it was written: {error!r}; look at it, and apply again"
        ) from error
    finally:
        await let_go(producer)
    # Kafka answers a commit before it writes the markers that show it: 0.1 s before, for the first one of a broker.
    while (await in_force(connection)).version < registry.version:
        continue
