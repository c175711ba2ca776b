"""A shard's state partition: the state of its keys, its positions, and reading both back."""

import asyncio
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from schemas.command import State
from schemas.values import Instant, Strict
from services.kernel.connection import Connection
from services.kernel.provision import GENESIS

POSITIONS = b"!positions"
"""Key of the record that says where to go on. No state key starts with an exclamation mark."""


class StateLost(Exception):
    """The state partition is empty although a first start leaves a genesis record: people must look."""


class Sweep(Strict):
    """A registry version that is being decided key by key: how far it has come."""

    offset: int
    after: str


class Positions(Strict, frozen=False):
    """Where a shard goes on. `next` maps an input's topic to its next offset; the partition is the shard's own."""

    next: dict[str, int] = {}  # noqa: RUF012 - pydantic copies defaults
    now: Instant | None = None
    sweep: Sweep | None = None
    parked: dict[str, str] = {}  # noqa: RUF012 - key → cause of a timer that could not be decided
    buried: dict[str, str] = {}  # noqa: RUF012 - place of a dead letter that may be replayed → its key

    def copied(self) -> "Positions":
        """One that can be changed on its own."""
        return self.model_copy(update={"next": dict(self.next), "buried": dict(self.buried)})


@dataclass(slots=True)
class Restored:
    """What a state partition held."""

    states: dict[str, State] = field(default_factory=dict)
    positions: Positions = field(default_factory=Positions)


async def restore(connection: Connection, topic: str, partition: int, kind: type[State]) -> Restored:
    """Reads a state partition, read-committed, to its end.

    Call it after the shard's producer has started: only then is the end final (an older owner is fenced). Raises
    StateLost, and pydantic's ValidationError when a state is of an unknown shape.
    """
    consumer = connection.consumer(fetch_max_wait_ms=50)
    try:
        await consumer.start()
        source = TopicPartition(connection.topic(topic), partition)
        consumer.assign([source])
        await consumer.seek_to_beginning(source)
        end = (await consumer.end_offsets([source]))[source]
        restored, seen = Restored(), False
        raw: dict[bytes, bytes] = {}
        # The tail may be transaction markers, which are no records: compare positions, not records read.
        while await consumer.position(source) < end:
            for record in (await consumer.getmany(source, timeout_ms=100)).get(source, []):
                seen = True
                if record.value is None:
                    raw.pop(record.key, None)
                else:
                    raw[record.key] = record.value
    finally:
        await consumer.stop()
    if not seen:
        raise StateLost(
            f"{source.topic} partition {partition} is empty and has no genesis record: state was lost, or provisioning "
            "was cut short. Restore the topic; only a new deployment may delete it and provision again"
        )
    raw.pop(GENESIS, None)
    if position := raw.pop(POSITIONS, None):
        restored.positions = Positions.model_validate_json(position, extra="ignore")
    for number, (key, value) in enumerate(raw.items()):
        restored.states[key.decode()] = kind.model_validate_json(value, extra="ignore")
        if number % 200 == 0:
            await asyncio.sleep(0)  # other shards work on while this one reads back
    return restored
