"""Whole topics, as a plain read-committed consumer reads them."""

import json
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.kernel.connection import Connection


class Topics:
    """Reads topics from their beginning to their end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._consumer: AIOKafkaConsumer = connection.consumer()
        self._admin = connection.admin()
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        """Connects."""
        await self._consumer.start()
        await self._admin.start()
        described = await self._admin.describe_topics()
        self._partitions = {self._connection.logical(t["topic"]): len(t["partitions"]) for t in described}

    async def stop(self) -> None:
        """Disconnects."""
        await self._consumer.stop()
        await self._admin.close()

    async def read(self, name: str) -> list[tuple[Any, Any]]:
        """Every record as (append time in ms, event); dead letters as (reason, raw bytes)."""
        found: list[tuple[Any, Any]] = []
        for partition in range(self._partitions[name]):
            source = TopicPartition(self._connection.topic(name), partition)
            self._consumer.assign([source])
            await self._consumer.seek_to_beginning(source)
            end = (await self._consumer.end_offsets([source]))[source]
            while await self._consumer.position(source) < end:
                for record in (await self._consumer.getmany(source, timeout_ms=200)).get(source, []):
                    found.append(_dead_letter(record) if name == "dead-letters" else _event(record))
        return found

    async def read_family(self, prefix: str) -> list[tuple[Any, Any]]:
        """Every record of the topics whose names begin so."""
        return [r for name in sorted(self._partitions) if name.startswith(prefix) for r in await self.read(name)]


def _event(record: Any) -> tuple[int, Any]:
    try:
        return record.timestamp, json.loads(record.value)
    except ValueError:
        return record.timestamp, None


def _dead_letter(record: Any) -> tuple[str, bytes]:
    return dict(record.headers).get("herald-reason", b"").decode(), record.value
