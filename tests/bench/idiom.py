"""FastStream's idiom at its safest: process a message, publish with acks=all, then commit it; no transactions.

`python -m tests.bench.idiom BOOTSTRAP GROUP INPUT OUTPUT`, until it is killed; says `ready` first. A crash
between publish and commit repeats a message.
"""

import asyncio
import sys

from aiokafka import ConsumerRecord
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from schemas.envelope import reader
from schemas.topics import RELEASES


async def run(bootstrap: str, group: str, source: str, target: str) -> None:
    """Reads on from where the group stands, for ever."""
    parse = reader(*RELEASES).validate_json
    broker = KafkaBroker(bootstrap, acks="all", logger=None, allow_auto_create_topics=False)

    @broker.subscriber(source, group_id=group, auto_offset_reset="earliest", ack_policy=AckPolicy.MANUAL)
    async def handle(message: KafkaMessage) -> None:
        parse(message.body, extra="ignore")
        assert isinstance(message.raw_message, ConsumerRecord)
        await broker.publish(message.body, target, key=message.raw_message.key)
        await message.ack()

    app = FastStream(broker, logger=None)
    app.after_startup(lambda: print("ready", flush=True))
    await app.run()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
