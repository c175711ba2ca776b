"""How the demo's labs and agencies speak with Herald and hear from it. Here: plain Kafka clients."""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.kernel.connection import Connection
from services.kernel.letting_go import let_go

Heard = tuple[str, dict[str, Any]]
"""Who heard, and the event: an alert or a receipt."""


class Lines(Protocol):
    """One line a participant. `failures`: what broke one, in one line each."""

    failures: list[str]

    async def start(self) -> None:
        """Connects everybody."""

    async def stop(self) -> None:
        """Disconnects everybody."""

    async def say(self, participant: str, event: dict[str, Any]) -> None:
        """Says an event as this participant, who may be lying about its source."""

    async def garble(self, participant: str, raw: bytes) -> None:
        """Says what is no event."""

    def heard(self) -> AsyncIterator[Heard]:
        """What anybody hears, for ever."""


class KafkaLines:
    """Everybody on topics of their own, with one consumer and one producer for all: nobody asks who is there."""

    def __init__(self, connection: Connection, labs: Iterable[str], agencies: Iterable[str]) -> None:
        self.failures: list[str] = []
        self._connection = connection
        self._edges = {lab: f"releases.{lab}" for lab in labs} | {agency: f"acks.{agency}" for agency in agencies}
        self._alerts = [f"alerts.{agency}" for agency in agencies]

    async def start(self) -> None:
        """Connects."""
        self._consumer: AIOKafkaConsumer = self._connection.consumer()
        self._producer: AIOKafkaProducer = self._connection.producer()
        await self._producer.start()
        await self._consumer.start()
        names = [*self._alerts, *(f"receipts.{participant}" for participant in self._edges)]
        self._consumer.subscribe([self._connection.topic(name) for name in names])

    async def stop(self) -> None:
        """Disconnects."""
        await let_go(self._consumer)
        await let_go(self._producer)

    async def say(self, participant: str, event: dict[str, Any]) -> None:
        """Writes the event to this participant's edge."""
        await self.garble(participant, json.dumps(event).encode())

    async def garble(self, participant: str, raw: bytes) -> None:
        """Writes bytes to this participant's edge."""
        await self._producer.send_and_wait(self._connection.topic(self._edges[participant]), raw)

    async def heard(self) -> AsyncIterator[Heard]:
        """Reads everybody's topics."""
        async for record in self._consumer:
            yield record.topic.rpartition(".")[2], json.loads(record.value)
