"""The live registry: follows `registry-versions`, outside any group, from its beginning."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from faststream.kafka import TopicPartition as Partition

from schemas.envelope import reader
from schemas.registry import Registry
from services.kernel.catalogue import REGISTRY_VERSION
from services.kernel.clock import Clock
from services.kernel.connection import Connection
from services.kernel.inbox import Item
from services.kernel.ledger import REGISTRY_TOPIC
from services.kernel.observe import log


def _registry(item: Item) -> Registry:
    found: Registry = reader(Registry).validate_json(item.value or b"", extra="ignore").data
    return found


class LiveRegistry:
    """Every version of the registry that is still kept, as it comes."""

    def __init__(self, connection: Connection, broker: KafkaBroker, clock: Clock) -> None:
        self._source = TopicPartition(connection.topic(REGISTRY_TOPIC), 0)
        self._subscriber = broker.subscriber(
            partitions=[Partition(*self._source)], auto_offset_reset="earliest", isolation_level="read_committed"
        )
        self._clock = clock
        self.ready = asyncio.Event()
        self.items: list[Item] = []
        self.current = Registry()
        self.on_version: Callable[[Item], None] = lambda _: None

    async def run(self) -> None:
        """Reads what stands there, says that it is ready, and follows. Runs until it is cancelled."""
        consumer: Any = self._subscriber.consumer
        end: int | None = None
        while True:
            try:
                if end is None:
                    end = (await consumer.end_offsets([self._source]))[self._source]
                if not self.ready.is_set() and await consumer.position(self._source) >= end:
                    self.ready.set()
                wait = 1000 if self.ready.is_set() else 50
                for record in (await consumer.getmany(self._source, timeout_ms=wait)).get(self._source, []):
                    self._take(record)
            except KafkaError as error:
                log.warning("registry_unreadable", error=repr(error))
                await asyncio.sleep(1)

    def in_force(self, position: int) -> Registry:
        """The version under which a shard works whose next version is at `position`."""
        before = [item for item in self.items if item.offset < position]
        return _registry(before[-1]) if before else Registry()

    def from_offset(self, position: int) -> list[Item]:
        """The versions that a shard has still to decide."""
        return [item for item in self.items if item.offset >= position]

    def _take(self, record: Any) -> None:
        at = self._clock.at(record.timestamp)
        item = Item(REGISTRY_TOPIC, 0, record.offset, at, record.key, record.value)
        self.current = _registry(item)
        self.items.append(item)
        REGISTRY_VERSION.set(self.current.version)
        log.info("registry_version", version=self.current.version)
        self.on_version(item)
