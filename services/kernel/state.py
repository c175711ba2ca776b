"""A shard's state partition: the state of its keys, its positions, and reading both back."""

import asyncio
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from aiokafka import TopicPartition

from schemas.command import State
from schemas.values import Instant, Strict
from services.kernel.connection import Connection
from services.kernel.gauges import Part
from services.kernel.provision import GENESIS
from services.kernel.service import Service
from services.kernel.states import States, Unread
from services.kernel.summary import Alike, Summaries, Summary, header_of
from services.kernel.timers import Due

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
    """What a state partition held, and what follows from its states: timers, parts of gauges, keys with effects."""

    states: MutableMapping[str, State] = field(default_factory=dict)
    positions: Positions = field(default_factory=Positions)
    timers: dict[str, Due] = field(default_factory=dict)
    parts: dict[str, tuple[Part, ...]] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, service: Service, states: Mapping[str, State], positions: Positions | None = None) -> "Restored":
        """From states that are there."""
        restored, summaries = cls(dict(states), positions or Positions()), Summaries(service)
        for key, state in states.items():
            restored._follows(key, summaries.of(state))
        return restored

    def take(
        self, service: Service, partition: int, records: dict[bytes, Unread], *, trusting: bool = True
    ) -> Iterator[None]:
        """Takes apart the last record of each key. Comes back after every few, so that others work on meanwhile.

        `trusting`: believes the headers. Raises StateBroken when a state that it looks into is of an unknown shape.
        """
        held: dict[str, State | Unread] = {}
        states, summaries, known = States(service, partition, held), Summaries(service), dict[str, Alike | None]()
        self.states = states
        records.pop(GENESIS, None)
        if (position := records.pop(POSITIONS, None)) is not None:
            self.positions = Positions.model_validate_json(position[0], extra="ignore")
        timers, parts_of, effects_of = self.timers, self.parts, self.effects
        waiting = iter(records.items())
        while some := list(islice(waiting, 200)):
            for name, record in some:  # written out: a call or a named tuple a record would double what it takes
                key, header = name.decode(), header_of(record[1]) if trusting else None
                said, _, own = header.decode().partition("\0") if header is not None else ("", "", "")
                alike = known.get(said)
                if alike is None and said not in known:
                    alike = known[said] = summaries.alike(said)
                if alike is None:
                    held[key] = state = states.validated(key, record[0])
                    self._follows(key, summaries.of(state))
                    continue
                held[key] = record
                timer, effects, parts = alike
                if timer:
                    due_at, _, about = own.partition("\0")
                    timers[key] = datetime.fromisoformat(due_at), timer, about
                if parts:
                    parts_of[key] = parts
                if effects:
                    effects_of.append(key)
            yield

    def _follows(self, key: str, summary: Summary) -> None:
        timer, parts, effects = summary
        if timer is not None:
            self.timers[key] = timer
        if parts:
            self.parts[key] = parts
        if effects:
            self.effects.append(key)


async def restore(connection: Connection, service: Service, partition: int, *, trusting: bool = True) -> Restored:
    """Reads a state partition, read-committed, to its end.

    Call it after the shard's producer has started: only then is the end final (an older owner is fenced). Raises
    StateLost, and StateBroken as `Restored.take`.
    """
    consumer = connection.consumer(fetch_max_wait_ms=50)
    try:
        await consumer.start()
        source = TopicPartition(connection.topic(service.state_topic), partition)
        consumer.assign([source])
        await consumer.seek_to_beginning(source)
        end = (await consumer.end_offsets([source]))[source]
        seen = False
        records: dict[bytes, Unread] = {}
        # The tail may be transaction markers, which are no records: compare positions, not records read.
        while await consumer.position(source) < end:
            for record in (await consumer.getmany(source, timeout_ms=100)).get(source, []):
                seen = True
                if record.value is None:
                    records.pop(record.key, None)
                else:
                    records[record.key] = record.value, record.headers
    finally:
        await consumer.stop()
    if not seen:
        raise StateLost(
            f"{source.topic} partition {partition} is empty and has no genesis record: state was lost, or provisioning "
            "was cut short. Restore the topic; only a new deployment may delete it and provision again"
        )
    restored = Restored()
    for _ in restored.take(service, partition, records, trusting=trusting):
        await asyncio.sleep(0)  # other shards work on while this one reads back
    return restored
