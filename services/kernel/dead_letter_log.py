"""Dead letters in Kafka: read them all, tell which are still open, and give one back to its service."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka import TopicPartition

from services.kernel.connection import Connection
from services.kernel.dead_letter import REPLAYS_TOPIC, Letter
from services.kernel.letting_go import let_go
from services.kernel.records import records
from services.kernel.state import POSITIONS, Positions

DEAD_LETTERS_TOPIC = "dead-letters"
TAIL = 100
"""How far before a state partition's end its positions are looked for: each transaction ends with them."""

Outcome = Literal["refused", "failed", "dropped", "decided", "unanswered"]


@dataclass(frozen=True, slots=True)
class Found:
    """One dead letter, and whether its service still waits for it. `id` is where it stands itself."""

    id: str
    record: Any
    letter: Letter
    open: bool

    @property
    def fields(self) -> dict[str, Any]:
        """What may be shown: never the content."""
        letter, size = self.letter, len(self.record.value or b"")
        shown = {
            name: getattr(letter, name) for name in ("service", "reason", "topic", "partition", "offset", "detail")
        }
        return {"id": self.id, "state": "open" if self.open else "closed"} | shown | {"bytes": size}


async def letters(connection: Connection) -> list[Found]:
    """Every dead letter that is still kept; where one place has several, only the last is open.

    Raises KafkaError, and SettingsError where the topic is missing or may not be read.
    """
    remedy = "`herald registry apply FILE` makes it, and `herald provision` lets who is to read it do so"
    every = [record async for record in records(connection, DEAD_LETTERS_TOPIC, remedy=remedy)]
    every.sort(key=lambda record: (record.partition, record.offset))
    known: dict[tuple[str, int], Positions] = {}
    last: dict[tuple[str, int, str, bytes], Any] = {}
    for record in every:
        letter = Letter.of(record.headers)
        last[letter.service, record.partition, letter.place, record.key] = record
        where = (letter.service, record.partition)
        if where not in known:
            known[where] = await positions(connection, *where)
    found = []
    for record in every:
        letter = Letter.of(record.headers)
        is_last = last[letter.service, record.partition, letter.place, record.key] is record
        is_open = is_last and _is_open(letter, record, known[letter.service, record.partition])
        found.append(Found(f"{record.partition}-{record.offset}", record, letter, is_open))
    return found


async def give_back(connection: Connection, found: Found, seconds: float, *, drop: bool = False) -> Outcome:
    """What became of one that was given back to its service, or dropped. Raises KafkaError."""
    if not found.open or (drop and found.letter.reason == "timer"):
        return "refused"
    partition, headers = found.record.partition, list(found.record.headers)
    producer = connection.producer()
    await producer.start()
    try:
        sent = await producer.send_and_wait(
            connection.topic(REPLAYS_TOPIC),
            key=found.record.key,
            value=found.record.value,
            partition=partition,
            headers=[*headers, ("herald-drop", b"")] if drop else headers,
        )
    finally:
        await let_go(producer)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        reached = await positions(connection, found.letter.service, partition)
        if reached.next.get(REPLAYS_TOPIC, 0) > sent.offset:
            if _is_open(found.letter, found.record, reached):
                return "failed"
            return "dropped" if drop else "decided"
        await asyncio.sleep(0.2)
    return "unanswered"


async def positions(connection: Connection, service: str, partition: int) -> Positions:
    """What a shard's state says last of where it goes on."""
    consumer = connection.consumer(fetch_max_wait_ms=50)
    await consumer.start()
    try:
        source = TopicPartition(connection.topic(f"state.{service}"), partition)
        consumer.assign([source])
        end = (await consumer.end_offsets([source]))[source]
        first = (await consumer.beginning_offsets([source]))[source]
        for start in (max(first, end - TAIL), first):
            found = Positions()
            consumer.seek(source, start)
            while await consumer.position(source) < end:
                for record in (await consumer.getmany(source, timeout_ms=100)).get(source, []):
                    if record.key == POSITIONS:
                        found = Positions.model_validate_json(record.value, extra="ignore")
            if found.next:
                return found
        return Positions()
    finally:
        await consumer.stop()


def _is_open(letter: Letter, record: Any, reached: Positions) -> bool:
    if letter.reason == "timer":
        return record.key.decode() in reached.parked
    return letter.place in reached.buried
