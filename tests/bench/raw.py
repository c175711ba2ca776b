"""The bare engine: aiokafka in one loop that parses each record and writes the same bytes on, a transaction a poll.

`python -m tests.bench.raw BOOTSTRAP INPUT OUTPUT FAN PARTITIONS`, until it is killed. No state, no decision, no
positions: what is left of its rate is what Herald adds.
"""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.envelope import reader
from schemas.topics import ANNOUNCEMENTS, RELEASES, WINDOWS


async def run(bootstrap: str, source: str, target: str, fan: int, partitions: int) -> None:
    """Reads from the beginning, for ever."""
    parse = reader(*RELEASES, *ANNOUNCEMENTS, *WINDOWS).validate_json
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{target}-raw", max_batch_size=131072)
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(source, number) for number in range(partitions)])
    while True:
        batches = await consumer.getmany(timeout_ms=1000, max_records=2000)
        if not batches:
            continue
        async with producer.transaction():
            sent = []
            for records in batches.values():
                for record in records:
                    parse(record.value, extra="ignore")
                    for _ in range(fan):
                        sent.append(
                            await producer.send(target, record.value, key=record.key, partition=record.partition)
                        )
            await asyncio.gather(*sent)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
