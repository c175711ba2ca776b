"""The bare engine: aiokafka in one loop that parses each record and writes the same bytes on, a transaction a poll.

`python -m tests.bench.raw BOOTSTRAP OFFSETS INPUT OUTPUT…`, until it is killed; says `ready` first. It begins at these
offsets of its input, one a partition, and each record goes to every output, as one change goes to every agency's topic.
No state, no decision, no positions: what is missing from its rate is what Herald adds.
"""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.envelope import reader
from schemas.topics import ANNOUNCEMENTS, RELEASES, WINDOWS


async def run(bootstrap: str, offsets: list[int], source: str, *targets: str) -> None:
    """Reads on, for ever."""
    parse = reader(*RELEASES, *ANNOUNCEMENTS, *WINDOWS).validate_json
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{source}-raw", max_batch_size=131072)
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(source, number) for number in range(len(offsets))])
    for number, offset in enumerate(offsets):
        consumer.seek(TopicPartition(source, number), offset)
    print("ready", flush=True)
    while True:
        batches = await consumer.getmany(timeout_ms=1000, max_records=2000)
        if not batches:
            continue
        async with producer.transaction():
            sent = []
            for records in batches.values():
                for record in records:
                    parse(record.value, extra="ignore")
                    for target in targets:
                        partition = record.partition if len(targets) == 1 else 0
                        sent.append(await producer.send(target, record.value, key=record.key, partition=partition))
            await asyncio.gather(*sent)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], [int(offset) for offset in sys.argv[2].split(",")], *sys.argv[3:]))
