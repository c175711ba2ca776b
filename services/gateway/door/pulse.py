"""The latest heartbeat: follows its topic, for streams that ask for it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from services.kernel.connection import Connection
from services.kernel.observe import log

TOPIC = "heartbeat"


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat, as the event stands in Kafka. `offset` tells one from another."""

    offset: int
    text: str


class Pulse:
    """What the watchdog wrote last."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.latest: Beat | None = None

    async def run(self) -> None:
        """Follows until it is cancelled. Without heartbeats, streams go on all the same."""
        source = TopicPartition(self._connection.topic(TOPIC), 0)
        consumer = self._connection.consumer(fetch_max_wait_ms=5000)
        said = ""
        try:
            await consumer.start()
            consumer.assign([source])
            while True:
                try:
                    await self._follow(source, consumer)
                except KafkaError as error:
                    if said != (said := repr(error)):
                        log.warning("heartbeat_unreadable", error=said)
                    await asyncio.sleep(5)
        finally:
            await consumer.stop()

    async def _follow(self, source: TopicPartition, consumer: Any) -> None:
        end = (await consumer.end_offsets([source]))[source]
        consumer.seek(source, max(end - 1, 0))  # the last one that there is; where it is not kept any more, the next
        while True:
            for record in (await consumer.getmany(source, timeout_ms=5000)).get(source, []):
                self.latest = Beat(record.offset, record.value.decode())
