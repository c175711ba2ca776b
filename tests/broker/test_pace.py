"""How often a service commits that nobody waits for by the millisecond."""

from itertools import pairwise
from pathlib import Path

from services.acknowledgements.app import PACE_SECONDS, SERVICE
from services.kernel.state import POSITIONS
from tests.bench import material
from tests.broker.deployment import Deployment

TRANSACTIONS = 4


async def test_acknowledgements_decides_together_what_comes_between_two_of_its_transactions(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "pace.", tmp_path, partitions=1)
    await deployment.prepare(material.registry(1))
    given = material.records("windows", 2000)
    deployment.start(SERVICE.name)
    try:
        await deployment.ready()
        committed: list[int] = []
        async with deployment.connection.producer() as producer:
            topic = deployment.connection.topic("windows")
            while len(committed) < TRANSACTIONS:
                for _ in range(5):
                    record = given.pop(0)
                    await producer.send_and_wait(topic, record.value, key=record.key, partition=0)
                state = await deployment.read(SERVICE.state_topic)
                committed = [record.timestamp for record in state if record.key == POSITIONS]
    finally:
        deployment.stop()
    # Kafka takes what a transaction writes before it is committed, and the pace counts from there.
    assert min(later - earlier for earlier, later in pairwise(committed)) >= PACE_SECONDS * 1000 - 1
