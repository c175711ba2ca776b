"""A shard's state, and the one transaction being put together on it. Knows the order of work, but no I/O.

Deciding is pure, so a draft can be thrown away and put together again: the same bytes come out.
"""

import json
from bisect import bisect_right
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from schemas.command import Command, EffectDone, Received, RegistryChanged, State, Taken, Timer, TimerDue
from schemas.dead_letter import DeadLettered
from schemas.envelope import derived_id, reader
from schemas.receipt import Coordinates
from schemas.registry import Registry
from services.kernel.dead_letter import MOST_BURIED, REPLAYS_TOPIC, Headers, Letter, healed, letter_headers, place
from services.kernel.draft import CONTENT, Decided, Draft, Output, Told, kept, written
from services.kernel.inbox import Item
from services.kernel.origin import Origin, origin_of
from services.kernel.service import Service
from services.kernel.state import POSITIONS, Restored, Sweep
from services.kernel.states import StateBroken
from services.kernel.summary import HEADER, NOTHING, Summaries
from services.kernel.timers import Timers

REGISTRY_TOPIC = "registry-versions"


class Ledger:
    """The keys of one shard, its positions and timers."""

    def __init__(self, service: Service, partition: int, restored: Restored, *, traced: bool = False) -> None:
        self.service = service
        self._traced = traced
        self.partition = partition
        self.states = restored.states
        self.positions = restored.positions
        self.registry = Registry()
        self.timers = Timers()
        self.timers.rebuild(restored.timers, self.positions.parked)
        self._summaries = Summaries(service)
        self.draft = Draft()
        self._drafted = self.positions.copied()
        self._readers = {i.topic: reader(*i.events) for i in service.inputs}
        self._version_at: datetime | None = None
        self._to_sweep: list[str] | None = None

    @property
    def sweeping(self) -> bool:
        """Whether a registry version is being decided key by key: it comes before all else."""
        return self._drafted.sweep is not None

    def next_timer(self) -> tuple[str, Timer] | None:
        """The earliest timer, seen with the draft."""
        return self.timers.next()

    def take(self, item: Item) -> None:
        """Decides one record into the draft. One that cannot be read or decided becomes a dead letter."""
        now = self._advance(item.at)
        if item.topic == REGISTRY_TOPIC:
            self._begin_sweep(item)
            return
        if item.topic == REPLAYS_TOPIC:
            self._replay(item, now)
        else:
            self._handle(item, now)
        self.draft.items.append(item)
        self._move_on(item)

    def _handle(self, item: Item, now: datetime) -> bool:
        """False when the record has become a dead letter."""
        command: Command | None = None
        try:
            key, command, cause = self._command(item)
            self._decide(key, command, cause, now, item)
        except Exception as error:
            self._dead_letter(item, "undecodable" if isinstance(error, ValidationError) else "undecidable", error)
            if isinstance(command, Received) and command.event.traceparent is not None:
                self.draft.dead_letters[-1]["trace_id"] = command.event.traceparent[3:35]
            return False
        buried = self._drafted.buried
        if buried and place(item.topic, item.offset) not in buried:
            self._drafted.buried = healed(buried, item.topic, self._order(item), item.offset)
        return True

    def _replay(self, item: Item, now: datetime) -> None:
        """Decides a dead letter again, as the record that it was; never what would take its key back in time."""
        try:
            letter = Letter.of(item.headers)
            if letter.service == self.service.name:
                self.draft.replays.append(self._replayed(letter, item, now))
        except Exception as error:
            self._dead_letter(item, "undecidable", error)

    def _replayed(self, letter: Letter, item: Item, now: datetime) -> str:
        key = (item.key or b"").decode()
        if letter.reason == "timer":
            stated = json.loads(item.value or b"{}")
            timer = Timer(datetime.fromisoformat(stated["due_at"]), stated["timer"], stated["about"])
            if letter.dropped or self.timers.parked.get(key) != timer.cause(key):
                return "refused"
            self.timers.unpark(key, self.draft.states.get(key, self.states.get(key)))
            self._drafted.parked = dict(self.timers.parked)
            return "decided"
        if self._drafted.buried.pop(letter.place, None) is None:
            return "refused"
        if letter.dropped:
            return "dropped"
        if letter.reason == "registry":  # under the version in force: that never goes back in time
            cause = derived_id(item.topic, str(item.offset))
            self._decide(key, RegistryChanged(self.registry, cause), cause, now, None)
            return "decided"
        again = Item(letter.topic, letter.partition, letter.offset, item.at, item.key, item.value)
        return "decided" if self._handle(again, now) else "failed"

    def _order(self, item: Item) -> str:
        """Among which records this one keeps its order: its key's, on an edge all of the sender's."""
        return item.topic if self.service.edges else (item.key or b"").decode(errors="replace")

    def fire(self, key: str, timer: Timer, at: datetime) -> None:
        """Decides one timer into the draft. One that cannot be decided becomes a dead letter and is left out."""
        now = self._advance(at)
        cause = timer.cause(key)
        try:
            self._decide(key, TimerDue(timer.name, timer.due_at, cause, self.registry), cause, now, None, timer)
        except Exception as error:
            about = {"key": key, "timer": timer.name, "due_at": timer.due_at.isoformat(), "about": timer.about}
            self._bury(key.encode(), json.dumps(about).encode(), "timer", error, ())
            self.timers.park(key, cause)
            self._drafted.parked = dict(self.timers.parked)
        self.draft.timers += 1
        self.draft.lateness.append((now - timer.due_at).total_seconds())

    def take_outcome(self, key: str, effect_id: str, outcome: Any, at: datetime) -> None:
        """Decides what came of an effect. Where that cannot be decided it is begun again when the shard reopens."""
        now = self._advance(at)
        cause = derived_id("effect", key, effect_id)
        try:
            self._decide(key, EffectDone(effect_id, outcome, self.registry), cause, now, None)
        except Exception as error:
            about = {"key": key, "effect": effect_id}
            self._bury(key.encode(), json.dumps(about).encode(), "effect", error, ())
        self.draft.effects.append(effect_id)

    def sweep(self) -> None:
        """Decides the registry version at hand for as many keys as fit into the draft."""
        sweep = self._drafted.sweep
        if sweep is None:
            return
        now = self._drafted.now or datetime.min
        if self._to_sweep is None:
            self._to_sweep = sorted(self.states)
        for key in self._to_sweep[bisect_right(self._to_sweep, sweep.after) :]:
            cause = derived_id("registry", str(self.registry.version), key)
            try:
                self._decide(key, RegistryChanged(self.registry, cause), cause, now, None)
            except Exception as error:
                about = json.dumps({"key": key, "registry_version": self.registry.version}).encode()
                where = f"{REGISTRY_TOPIC}/{key}"
                self._dead_letter(Item(where, 0, sweep.offset, now, key.encode(), about), "registry", error)
            self._drafted.sweep = Sweep(offset=sweep.offset, after=key)
            self.draft.swept += 1
            if self.draft.full:
                return
        self._drafted.next[REGISTRY_TOPIC] = sweep.offset + 1
        self._drafted.sweep = self._to_sweep = None

    def bury(self, item: Item, error: Exception) -> None:
        """Makes a dead letter of a record whose outcome cannot be written."""
        self._advance(item.at)
        self._dead_letter(item, "output_too_large", error)
        self.draft.items.append(item)
        self._move_on(item)

    def _dead_letter(self, item: Item, reason: str, error: Exception) -> None:
        """Keeps a record that cannot be handled: raw bytes as value, coordinates and reason in headers."""
        buried = self._drafted.buried
        buried[place(item.topic, item.offset)] = self._order(item)
        if len(buried) > MOST_BURIED:
            del buried[next(iter(buried))]
        where: Headers = (
            ("herald-topic", item.topic.encode()),
            ("herald-partition", str(item.partition).encode()),
            ("herald-offset", str(item.offset).encode()),
        )
        self._bury(item.key or b"", item.value, reason, error, where)

    def closing_records(self) -> list[Output]:
        """The new states and positions, for the same transaction as the events they follow from.

        Raises OutputTooLarge when a state has outgrown its topic.
        """
        topic = self.service.state_topic
        records = []
        for key, state in self.draft.states.items():
            summary = self.draft.summaries[key] = self._summaries.of(state) if state is not None else NOTHING
            if state is None:
                records.append(Output(topic, key.encode(), None, self.partition))
                continue
            value, header = state.encoded(), self._summaries.header(summary)
            headers = ((HEADER, header),) if header is not None else ()
            records.append(kept(topic, key, value, headers, self.partition))
        records.append(Output(topic, POSITIONS, self._drafted.model_dump_json().encode(), self.partition))
        return records

    def confirm(self) -> None:
        """The transaction is committed: the draft is the state now."""
        for key, state in self.draft.states.items():
            if state is None:
                self.states.pop(key, None)
            else:
                self.states[key] = state
        self.positions, self.draft = self._drafted, Draft()
        self._drafted = self.positions.copied()

    def _command(self, item: Item) -> tuple[str, Command, str]:
        if item.topic not in self._readers:
            coordinates = Coordinates(topic=item.topic, partition=item.partition, offset=item.offset)
            taken = Taken(coordinates, item.value, item.at, self.registry)
            cause = derived_id(item.topic, str(item.partition), str(item.offset))
            assert self.service.edge_key is not None, "a service with edges has an edge_key"  # noqa: S101
            return self.service.edge_key(taken), taken, cause
        event = self._readers[item.topic].validate_json(item.value or b"", extra="ignore")
        cause = derived_id(item.topic, event.id)
        return event.subject or "", Received(item.topic, event, cause, self.registry), cause

    def _decide(
        self, key: str, command: Command, cause: str, now: datetime, item: Item | None, timer: Timer | None = None
    ) -> None:
        state = self.draft.states[key] if key in self.draft.states else self.states.get(key)
        before, sent = state, command.event.traceparent if isinstance(command, Received) else None
        emitted = self.service.decide(state, command, now)
        outputs: list[Output] = []
        events: list[Decided] = []
        origin = self._origin(command, item, timer)
        headers = CONTENT if origin is None else (*CONTENT, origin.header())
        letters: list[DeadLettered] = []
        told: list[Told] = []
        for ordinal, event in enumerate(emitted):
            state = self.service.evolve(state, event)
            if isinstance(event, DeadLettered):
                letters.append(event)
            elif topics := event.topics():
                continues = event.continues() or (before.continues(event, sent) if before is not None else sent)
                stamped = event.stamped(
                    cause=cause, ordinal=ordinal, source=self.service.source, time=now, continues=continues
                )
                own = self.service.keyed_by if stamped.subject == key else None
                outputs += written(stamped, topics, headers, own, self.partition)
                trace_id = stamped.traceparent[3:35] if stamped.traceparent else None
                events.append(Decided(stamped.data, cause, origin, trace_id))
                if self._traced:
                    told.append(Told(stamped, topics, continues, sent))
        if timer is not None and state is not None and state.next_timer() == timer:
            raise RuntimeError(f"timer {timer.name} was decided and is due again at the same instant")
        # Nothing above changes the draft: a record that cannot be decided leaves no half of itself in it.
        self.draft.outputs += outputs
        self.draft.size += sum([len(output.value or b"") for output in outputs])
        self.draft.events += events
        self.draft.told += told
        if state is not before:
            self.draft.states[key] = state
            self.timers.set(key, state)
            self._unpark(key, state)
        for letter in letters:
            if item is not None:
                self._dead_letter(item, letter.reason, ValueError(letter.detail))

    def _origin(self, command: Command, item: Item | None, timer: Timer | None) -> Origin | None:
        """What follows goes back to the same as the record at hand, or begins here."""
        if timer is not None:
            return Origin("time", timer.due_at)
        if isinstance(command, RegistryChanged):
            return Origin("registry", self._version_at) if self._version_at is not None else None
        if isinstance(command, Taken):
            return Origin("statement", command.appended_at)
        return origin_of(item.headers) if item is not None else None

    def _bury(self, key: bytes, value: bytes | None, reason: str, error: Exception, where: Headers) -> None:
        if isinstance(error, StateBroken):
            raise error  # whatever is at hand is not at fault, and may be decided once the state is mended
        headers = (*letter_headers(self.service.name, reason, error), *where)
        self.draft.outputs.append(Output("dead-letters", key, value, self.partition, headers))
        where_it_stood = {name.removeprefix("herald-"): value.decode() for name, value in where}
        about = "release_id" if self.service.keyed_by == "release id" else "key"
        self.draft.dead_letters.append({"reason": reason, about: key.decode(errors="replace")} | where_it_stood)

    def _unpark(self, key: str, state: State | None) -> None:
        if key not in self.timers.parked:
            return
        timer = state.next_timer() if state is not None else None
        if timer is None or timer.cause(key) != self.timers.parked[key]:
            del self.timers.parked[key]
            self._drafted.parked = dict(self.timers.parked)

    def _advance(self, at: datetime) -> datetime:
        last = self._drafted.now
        now = self._drafted.now = at if last is None or at > last else last
        return now

    def _move_on(self, item: Item) -> None:
        self._drafted.next[item.topic] = item.offset + 1

    def _begin_sweep(self, item: Item) -> None:
        version = reader(Registry).validate_json(item.value or b"", extra="ignore").data
        self.registry, self._version_at = version, item.at
        self._drafted.sweep = Sweep(offset=item.offset, after="")
        self.draft.items.append(item)
