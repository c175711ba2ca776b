"""Puts what a simulated world has written into Kafka, as far as the read model follows it."""

from services.kernel.connection import Connection
from tests.simulation.world import World

TOPICS = ("announcements", "windows", "acknowledgements")


async def write(connection: Connection, world: World) -> None:
    """Its releases, windows and answers, and all that participants were sent."""
    producer = connection.producer()
    await producer.start()
    for topic, records in world.logs.items():
        if topic.startswith(("alerts.", "receipts.")) or topic in TOPICS:
            for record in records:
                await producer.send(connection.topic(topic), record.value, key=record.key)
    await producer.stop()
