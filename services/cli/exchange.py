"""Sends one event to an edge topic and waits for its receipt: what `announce`, `withdraw` and `ack` have in common."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from services.cli import session
from services.kernel.connection import Connection
from services.kernel.letting_go import let_go

ACCEPTED, REFUSED, NO_ANSWER = 0, 3, 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back. `receipt` None: no answer in time, and `known` says what is known all the same."""

    receipt: dict[str, Any] | None
    known: str

    @property
    def refused(self) -> bool:
        """Whether it was refused."""
        return self.receipt is not None and self.receipt["type"].endswith(".refused.v1")


async def exchange(
    connection: Connection, edge: str, participant: str, event: dict[str, Any], seconds: float
) -> Outcome:
    """Sends an event, waits for its receipt by the event's id, for so many seconds in all."""
    known = ["Kafka could not be reached: nothing was sent"]
    try:
        async with asyncio.timeout(seconds):
            receipt = await _exchange(connection, edge, participant, event, known)
    except TimeoutError:
        return Outcome(None, f"no answer within {seconds:g} s: {known[-1]}")
    except KafkaError as error:
        return Outcome(None, f"{known[-1]} ({type(error).__name__}: {error})")
    return Outcome(receipt, "answered")


async def _exchange(
    connection: Connection, edge: str, participant: str, event: dict[str, Any], known: list[str]
) -> dict[str, Any]:
    receipts = TopicPartition(connection.topic(f"receipts.{participant}"), 0)
    consumer, producer = connection.consumer(), connection.producer()
    try:
        await consumer.start()
        await producer.start()
        topic = connection.topic(f"{edge}.{participant}")
        known.append(f"topic {topic} is not there, or not for this user: is {participant} in the registry?")
        await producer.partitions_for(topic)
        consumer.assign([receipts])
        await consumer.seek_to_end(receipts)
        known.append("Kafka was reached, but did not confirm the event: it may or may not stand there")
        sent = await producer.send_and_wait(topic, json.dumps(event).encode())
        known.append(f"Kafka has the event at {topic} offset {sent.offset}; its receipt will follow")
        async for record in consumer:
            found: dict[str, Any] = json.loads(record.value)
            if found["data"].get("event_id") == event["id"] and found["type"].startswith("herald.receipt."):
                return found
        raise TimeoutError
    finally:
        await asyncio.gather(let_go(consumer), let_go(producer))


def tell(outcome: Outcome, as_json: bool, about: str, *, strict: bool = False) -> int:
    """Prints an outcome; returns the exit code."""
    receipt = outcome.receipt
    if receipt is None:
        session.say(as_json, f"{about}: {outcome.known}", outcome="no-answer", known=outcome.known)
        return NO_ANSWER
    data, kind = receipt["data"], receipt["type"].split(".")[2]
    if as_json:
        print(json.dumps(receipt), flush=True)
    else:
        _for_people(about, kind, data)
    if outcome.refused:
        return REFUSED
    return REFUSED if strict and data.get("warnings") else ACCEPTED


def _for_people(about: str, kind: str, data: dict[str, Any]) -> None:
    revision = f" (revision {data['revision']})" if data.get("revision") and kind != "refused" else ""
    print(f"{about}: {kind}{revision}")
    window = data.get("window")
    if window:
        times = [f"{name[:-3]} {window[name]}" for name in ("opens_at", "closes_at") if window.get(name)]
        print(f"  window {window['status']}{': ' + ', '.join(times) if times else ''}")
    for notice in data.get("reasons", []):
        where = f"{notice['field']}: " if notice.get("field") else ""
        print(f"  refused, {notice['code']}: {where}{notice['message']}")
    for notice in data.get("warnings", []):
        where = f"{notice['field']}: " if notice.get("field") else ""
        print(f"  warning, {notice['code']}: {where}{notice['message']}")
