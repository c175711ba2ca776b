"""Where topics end just now."""

import asyncio
from collections import defaultdict

from aiokafka import TopicPartition

from services.kernel.connection import Connection


class Ends:
    """Asks Kafka once for all who want to know at the same time. Nobody gets an answer from before it asked."""

    def __init__(self, connection: Connection) -> None:
        self._probe = connection.consumer(isolation_level="read_uncommitted")
        self._next: dict[TopicPartition, asyncio.Task[int]] = {}
        self._turns: dict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Connects."""
        await self._probe.start()

    async def stop(self) -> None:
        """Disconnects."""
        await self._probe.stop()

    async def of(self, source: TopicPartition) -> int:
        """The offset of the next record. Raises KafkaError."""
        if source not in self._next:
            self._next[source] = asyncio.create_task(self._ask(source))
        return await asyncio.shield(self._next[source])

    async def _ask(self, source: TopicPartition) -> int:
        async with self._turns[source]:
            del self._next[source]  # who comes from here on is answered by the next one
            end: int = (await self._probe.end_offsets([source]))[source]
            return end
