"""Writes a shard's outputs, state and positions in one transaction: all of it, or nothing."""

import asyncio
from collections.abc import Awaitable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from services.kernel.connection import Connection
from services.kernel.ledger import Output, OutputTooLarge
from services.kernel.observe import log

METADATA_SECONDS = 5.0
STOP_SECONDS = 3.0


class TopicMissing(Exception):
    """An output topic is not there; one line for people."""


class Transactions:
    """The one producer of a shard. Starting it fences an older owner, and aborts what that one had open."""

    def __init__(self, connection: Connection, owner: str) -> None:
        self._connection = connection
        self._producer: AIOKafkaProducer = connection.producer(
            transactional_id=f"{connection.settings.topic_prefix}{owner}",
            transaction_timeout_ms=connection.settings.transaction_timeout_ms,
            max_batch_size=128 * 1024,
        )
        self._known_topics: set[str] = set()

    async def start(self) -> None:
        """InitProducerId: from here the shard is this owner's."""
        await self._producer.start()

    async def stop(self) -> None:
        """Lets go of the producer, bounded in time; what it had open is aborted by the next owner."""
        try:
            await asyncio.wait_for(self._producer.stop(), STOP_SECONDS)
        except (KafkaError, TimeoutError) as error:
            log.warning("producer_left_behind", error=repr(error))

    async def write(self, outputs: list[Output]) -> None:
        """Writes and commits.

        Raises OutputTooLarge when one of the outputs does not fit (nothing is written then); after any other error the
        outcome is unknown, and the shard must reopen from what is committed.
        """
        await self._know_topics({self._connection.topic(output.topic) for output in outputs})
        await self._producer.begin_transaction()
        try:
            sent = [await self._send(output) for output in outputs]
            # A commit succeeds although a send has failed: each one is looked at.
            results = await asyncio.gather(*sent, return_exceptions=True)
            for failure in (result for result in results if isinstance(result, BaseException)):
                raise failure
        except MessageSizeTooLargeError as error:
            await self._producer.abort_transaction()
            raise OutputTooLarge(str(error)) from error
        await self._producer.commit_transaction()

    async def _send(self, output: Output) -> Awaitable[object]:
        sent: Awaitable[object] = await self._producer.send(
            self._connection.topic(output.topic),
            key=output.key,
            value=output.value,
            partition=output.partition,
            headers=list(output.headers),
        )
        return sent

    async def _know_topics(self, topics: set[str]) -> None:
        """Loads the metadata of new output topics before the transaction begins: inside, it would hold it up."""
        for topic in sorted(topics - self._known_topics):
            try:
                await asyncio.wait_for(self._producer.partitions_for(topic), METADATA_SECONDS)
            except (TimeoutError, UnknownTopicOrPartitionError):
                raise TopicMissing(f"topic {topic} is missing: `herald registry apply` makes it") from None
            self._known_topics.add(topic)
