"""A lab's and an agency's own way to Kafka: librdkafka, and nothing of Herald's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

QUIET = {"log_level": 0}
GIVES_UP_MS = 15_000


@dataclass(frozen=True, slots=True)
class Got:
    """One record: where it stood, when Kafka took it (milliseconds since 1970), what it says."""

    offset: int
    at: int
    value: bytes


class Sender:
    """Says one thing after another to one topic. What Kafka did not take for sure is said again, with the same id."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._servers, self._topic = bootstrap_servers, topic
        self._producer = self._new()
        self.again = 0

    async def say(self, value: bytes) -> None:
        """Returns once it stands in the topic."""
        while not await asyncio.to_thread(self._is_taken, value):
            self.again += 1
            self._producer = self._new()  # an idempotent one that has given up may not go on
            await asyncio.sleep(0.5)

    def _new(self) -> Producer:
        about: dict[str, Any] = {"bootstrap.servers": self._servers, "enable.idempotence": True, "linger.ms": 0}
        return Producer(about | {"message.timeout.ms": GIVES_UP_MS, "reconnect.backoff.max.ms": 1000} | QUIET)

    def _is_taken(self, value: bytes) -> bool:
        taken: list[bool] = []
        self._producer.produce(self._topic, value, on_delivery=lambda error, _: taken.append(error is None))
        self._producer.flush(2 * GIVES_UP_MS / 1000)
        return taken == [True]


async def reading(bootstrap_servers: str, topic: str) -> AsyncIterator[Got]:
    """Every committed record of a topic of one partition, as it comes; never ends."""
    about: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, "group.id": "none", "enable.auto.commit": False}
    about |= {"isolation.level": "read_committed", "auto.offset.reset": "earliest", "reconnect.backoff.max.ms": 1000}
    consumer = Consumer(about | QUIET)
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while True:
            message: Message | None = await asyncio.to_thread(consumer.poll, 0.2)
            if message is None or message.error() is not None:
                continue  # no news, or a broker that is away: the client sees to that by itself
            yield Got(message.offset() or 0, message.timestamp()[1], message.value() or b"")
    finally:
        await asyncio.to_thread(consumer.close)
