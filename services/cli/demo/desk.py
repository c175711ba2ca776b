"""An agency of the secured demo that reads and answers over Kafka: a plain client, with TLS and a user of its own."""

import json
import ssl
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.cli.demo.access import Access, Hears, Meanwhile
from services.kernel.letting_go import let_go


class KafkaDesk:
    """An agency on its own topics, with its own user: a plain Kafka client, in a group under the agency's prefix."""

    def __init__(self, name: str, access: Access, hears: Hears, meanwhile: Meanwhile) -> None:
        self._name, self._access, self._hears, self._meanwhile = name, access, hears, meanwhile

    async def start(self) -> None:
        """Connects, and begins to read."""
        login = {
            "bootstrap_servers": self._access.address,
            "security_protocol": "SASL_SSL",
            "ssl_context": ssl.create_default_context(cafile=str(self._access.cafile)),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self._access.user,
            "sasl_plain_password": self._access.secret,
        }
        self._producer = AIOKafkaProducer(**login, acks="all", enable_idempotence=True)
        self._consumer = AIOKafkaConsumer(
            f"{self._access.prefix}alerts.{self._name}",
            f"{self._access.prefix}receipts.{self._name}",
            **login,
            group_id=f"{self._access.prefix}{self._name}.desk",
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await self._producer.start()
        await self._consumer.start()
        self._meanwhile(self._read())

    async def stop(self) -> None:
        """Disconnects."""
        await let_go(self._consumer)
        await let_go(self._producer)

    async def say(self, event: dict[str, Any]) -> None:
        """Writes the event to its acknowledgements."""
        await self.garble(json.dumps(event).encode())

    async def garble(self, raw: bytes) -> None:
        """Writes bytes there."""
        await self._producer.send_and_wait(f"{self._access.prefix}acks.{self._name}", raw)

    async def _read(self) -> None:
        async for record in self._consumer:
            self._hears(json.loads(record.value))
