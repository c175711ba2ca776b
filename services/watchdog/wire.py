"""The watchdog's way to Kafka: its own topics, and the group by which one of several is on duty."""

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from schemas.alert import AlertIssued, DisclosureMade
from schemas.delivery import NoticeRequested
from schemas.envelope import CONTENT_TYPE, Data, Event, encode, reader
from schemas.heartbeat import HeartbeatBeat
from schemas.receipt import ReceiptAccepted, ReceiptRefused, ReceiptUnchanged
from schemas.registry import Registry
from schemas.watchdog import AGENCY, LAB
from services.kernel.connection import Connection
from services.kernel.letting_go import let_go
from services.kernel.observe import log
from services.kernel.registry_log import in_force
from services.watchdog.decide import written

ALERTS = f"alerts.{AGENCY}"
HEARD = (ALERTS, f"receipts.{AGENCY}", f"receipts.{LAB}")
HEARTBEAT, DELIVERIES = "heartbeat", "deliveries"
GROUP = "watchdog"
TAIL = 24
"""Alerts read again at the start of duty: what an earlier watchdog left open is among them."""

_HEADERS = [("content-type", CONTENT_TYPE.encode())]
_read = reader(AlertIssued, ReceiptAccepted, ReceiptUnchanged, ReceiptRefused, DisclosureMade)


class AllToOne(RoundRobinPartitionAssignor):  # type: ignore[misc]
    """Gives one member all topics, as it is by range where each has one partition.

    By the name that an earlier watchdog knows, and alone: aiokafka joins the group anew for each strategy named to it,
    and two members that do so may go on joining for ever.
    """

    @classmethod
    def assign(cls, cluster: Any, members: Any) -> Any:
        """The assignment of each member."""
        return RangePartitionAssignor.assign(cluster, members)


class Wire(ConsumerRebalanceListener):  # type: ignore[misc]
    """What is said and heard. All of its topics have one partition: one member of the group gets all of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._make()

    def _make(self) -> None:
        connection, session = self._connection, self._connection.settings.session_timeout_ms
        self._consumer = connection.consumer(
            group_id=connection.topic(GROUP),
            auto_offset_reset="latest",
            partition_assignment_strategy=(AllToOne,),
            session_timeout_ms=session,
            heartbeat_interval_ms=session // 3,
            fetch_max_wait_ms=2000,
        )
        self._producer = connection.producer()
        self._turns = 0
        """How often topics came or went."""
        self._begins = False
        self._read_until: int | None = None

    async def reopen(self) -> None:
        """Goes on with new clients. Raises KafkaError when they cannot connect; then it is to be called again."""
        await self.stop()
        self._make()
        await self.start()

    async def start(self) -> None:
        """Connects. Raises KafkaError."""
        await self._producer.start()
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnects, and leaves the group."""
        await asyncio.gather(let_go(self._consumer), let_go(self._producer))

    async def entered(self) -> bool:
        """Joins the group once all topics are there: where the registry has no watchdog yet, they are not."""
        if self._consumer.subscription():
            return True
        wanted = [self._connection.topic(name) for name in (*HEARD, HEARTBEAT)]
        if not set(wanted) <= await self._consumer.topics():
            return False
        self._consumer.subscribe(wanted[:-1], listener=self)
        return True

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Only takes note: the group waits until a listener returns."""
        self._turns += 1
        self._begins = bool(assigned)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Only takes note."""
        self._turns += 1
        self._begins, self._read_until = False, None

    @property
    def on_duty(self) -> bool:
        """Whether this one has the topics, and has begun with them."""
        return self._read_until is not None and not self._begins

    async def begin(self) -> bool:
        """Goes back to the last alerts when the topics have just been assigned; says whether that was so."""
        if not self._begins:
            return False
        self._begins, turn = False, self._turns
        try:
            end = await self._go_back()
        except KafkaError:
            self._begins = self._begins or turn == self._turns  # it is tried again
            raise
        if turn != self._turns:
            return False  # they went to another meanwhile, and may be back
        self._read_until = end
        return True

    async def _go_back(self) -> int:
        alerts = TopicPartition(self._connection.topic(ALERTS), 0)
        first = (await self._consumer.beginning_offsets([alerts]))[alerts]
        end: int = (await self._consumer.end_offsets([alerts]))[alerts]
        self._consumer.seek(alerts, max(first, end - TAIL))
        for name in HEARD[1:]:
            await self._consumer.position(TopicPartition(self._connection.topic(name), 0))
        return end

    async def caught_up(self) -> bool:
        """Whether what an earlier watchdog left was read."""
        alerts = TopicPartition(self._connection.topic(ALERTS), 0)
        return self._read_until is not None and await self._consumer.position(alerts) >= self._read_until

    async def hear(self, seconds: float) -> list[Event[Any]]:
        """What has come on its topics, waited for at most so long."""
        found = await self._consumer.getmany(timeout_ms=int(seconds * 1000))
        records = [record for batch in found.values() for record in batch]
        return [event for record in records if (event := self._event(record)) is not None]

    async def say(self, said: Data, event_id: str) -> None:
        """Writes an event of the lab's or of the agency's to their edge. Raises KafkaError."""
        topic, event = written(said, event_id)
        await self._producer.send_and_wait(self._connection.topic(topic), encode(event), headers=_HEADERS, partition=0)

    async def beat(self, beat: HeartbeatBeat) -> None:
        """Writes a heartbeat. Raises KafkaError."""
        event = beat.stamped(cause=beat.beat_at.isoformat(), ordinal=0, source="/services/watchdog", time=beat.beat_at)
        topic = self._connection.topic(HEARTBEAT)
        await self._producer.send_and_wait(topic, encode(event), key=b"heartbeat", headers=_HEADERS, partition=0)

    async def registry(self) -> Registry:
        """The registry in force. Raises KafkaError."""
        return await in_force(self._connection)

    async def tell(self, notice: NoticeRequested) -> None:
        """Asks that an endpoint be told something of no release. Raises KafkaError."""
        event = notice.stamped(cause=notice.notice_id, ordinal=0, source="/services/watchdog", time=notice.requested_at)
        topic, key = self._connection.topic(DELIVERIES), notice.subject().encode()
        await self._producer.send_and_wait(topic, encode(event), key=key, headers=_HEADERS)

    async def last_beat(self) -> HeartbeatBeat | None:
        """The latest heartbeat that anyone wrote; None: there is none, or it cannot be read."""
        source = TopicPartition(self._connection.topic(HEARTBEAT), 0)
        consumer = self._connection.consumer()
        try:
            await consumer.start()
            consumer.assign([source])
            end = (await consumer.end_offsets([source]))[source]
            if (await consumer.beginning_offsets([source]))[source] >= end:
                return None
            consumer.seek(source, end - 1)
            (record, *_) = (await consumer.getmany(source, timeout_ms=5000)).get(source, [None])
            found: HeartbeatBeat | None = (
                record and reader(HeartbeatBeat).validate_json(record.value, extra="ignore").data
            )
            return found
        finally:
            await consumer.stop()

    def _event(self, record: Any) -> Event[Any] | None:
        try:
            return _read.validate_json(record.value or b"", extra="ignore")
        except ValueError:
            topic = self._connection.logical(record.topic)
            log.warning("watchdog_unreadable", topic=topic, partition=record.partition, offset=record.offset)
            return None
