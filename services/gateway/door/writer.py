"""A producer that outlives its failures."""

import asyncio
from typing import Any

from aiokafka.errors import KafkaError

from services.gateway.door.within import Within
from services.kernel.connection import Connection
from services.kernel.letting_go import let_go
from services.kernel.observe import log

SECONDS = 10.0
TOGETHER_BYTES = 256 * 1024
"""What is said while Kafka confirms what was said before goes together then, up to so many bytes.

aiokafka's 16 KiB are a dozen statements: of sixteen that wait, some would wait twice.
"""


class Writer:
    """Writes records, each on all replicas when it returns.

    An idempotent producer numbers its records: once Kafka has refused one, it refuses all that follow, for ever. So
    after a failure there is another producer.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._producer: Any = None
        self._within = Within(SECONDS)
        self._one_at_a_time = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connects."""
        await self._current()

    async def stop(self) -> None:
        """Sends what is still to be sent, and disconnects; bounded in time."""
        if self._producer is not None:
            await let_go(self._producer)
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def write(self, topic: str, value: bytes, **more: Any) -> None:
        """Raises KafkaError, or TimeoutError after SECONDS: the record may or may not stand there."""
        producer = self._producer or await self._current()
        try:
            with self._within():
                await producer.send_and_wait(topic, value, **more)
        except KafkaError as error:
            if self._producer is producer:
                log.warning("producer_replaced", error=repr(error))
                ending = asyncio.create_task(let_go(producer))
                self._producer = None
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
            raise

    async def _current(self) -> Any:
        async with self._one_at_a_time:
            if self._producer is None:
                producer = self._connection.producer(max_batch_size=TOGETHER_BYTES)
                try:
                    await producer.start()
                except BaseException:
                    await let_go(producer)
                    raise
                self._producer = producer
            return self._producer
