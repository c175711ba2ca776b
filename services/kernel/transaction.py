"""Writes a shard's outputs, state and positions in one transaction: all of it, or nothing."""

import asyncio
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from services.kernel.connection import Connection
from services.kernel.draft import Output, OutputTooLarge
from services.kernel.letting_go import let_go

METADATA_SECONDS = 5.0


class TopicMissing(Exception):
    """An output topic is not there; one line for people."""


class Transactions:
    """The one producer of a shard. Starting it fences an older owner, and aborts what that one had open."""

    def __init__(self, connection: Connection, owner: str) -> None:
        self._connection = connection
        self._producer = connection.transactional(
            transactional_id=f"{connection.settings.topic_prefix}{owner}",
            transaction_timeout_ms=connection.settings.transaction_timeout_ms,
            max_batch_size=128 * 1024,
        )
        self._partitions: dict[str, list[int]] = {}

    async def start(self) -> None:
        """InitProducerId: from here the shard is this owner's."""
        await self._producer.start()

    async def stop(self) -> None:
        """Lets go of the producer, bounded in time; what it had open is aborted by the next owner."""
        await let_go(self._producer)

    async def write(self, outputs: list[Output]) -> dict[str, int]:
        """Writes and commits. Returns when each topic has taken what was written to it, in the log's milliseconds.

        Raises OutputTooLarge when the broker takes one of the outputs for too large. After any error the shard must
        reopen from what is committed: the outcome is unknown, and a refused batch leaves a gap in the sequence numbers.
        """
        await self._know_topics({self._connection.topic(output.topic) for output in outputs})
        await self._producer.begin_transaction()
        try:
            sent = [
                await self._producer.send_batch(batch, topic, partition=partition)
                for (topic, partition), batches in self._batches(outputs).items()
                for batch in batches
            ]
            # A commit succeeds although a send has failed: each one is looked at.
            results: list[Any] = await asyncio.gather(*sent, return_exceptions=True)
            for failure in (result for result in results if isinstance(result, BaseException)):
                raise failure
        except MessageSizeTooLargeError as error:
            raise OutputTooLarge(str(error)) from error
        await self._producer.commit_transaction()
        return {self._connection.logical(taken.topic): taken.timestamp for taken in results}

    def _batches(self, outputs: list[Output]) -> dict[tuple[str, int], list[BatchBuilder]]:
        """The outputs of each partition, in order. Batched here: a send for each record costs ten times as much."""
        batches: dict[tuple[str, int], list[BatchBuilder]] = {}
        names = {name: self._connection.topic(name) for name in {output.topic for output in outputs}}
        for output in outputs:
            topic, partition = names[output.topic], output.partition
            if partition is None:
                partition = self._choose(output.key, topic)
            builders = batches.get((topic, partition))
            if builders is None:
                builders = batches[topic, partition] = [self._producer.create_batch()]
            if not _append(builders[-1], output):
                builders.append(self._producer.create_batch())
                _append(builders[-1], output)
        return batches

    def _choose(self, key: bytes, topic: str) -> int:
        partitions = self._partitions[topic]
        return partitions[0] if len(partitions) == 1 else int(_by_key(key, partitions, partitions))

    async def _know_topics(self, topics: set[str]) -> None:
        """Loads the metadata of new output topics before the transaction begins: inside, it would hold it up."""
        new = sorted(topics - self._partitions.keys())
        for topic in new:  # named together: else each would be asked for with all that came before it
            self._producer.client.add_topic(topic)
        for topic in new:
            try:
                partitions = await asyncio.wait_for(self._producer.partitions_for(topic), METADATA_SECONDS)
            except (TimeoutError, UnknownTopicOrPartitionError):
                raise TopicMissing(f"topic {topic} is missing: `herald registry apply` makes it") from None
            self._partitions[topic] = sorted(partitions)


_by_key = DefaultPartitioner()
"""As Kafka's own clients place a key."""


def _append(batch: BatchBuilder, output: Output) -> bool:
    """False when the batch is full."""
    return batch.append(timestamp=None, key=output.key, value=output.value, headers=list(output.headers)) is not None
