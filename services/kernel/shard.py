"""One shard: opens from what is committed, decides, writes each step in one transaction, and reopens on any error.

Opening follows the order that exactly-once stands on: fence the older owner, restore, check, seek, and only then work.
"""

import asyncio
import math
import random
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from services.kernel.clock import Clock
from services.kernel.collecting import uncollected
from services.kernel.connection import Connection
from services.kernel.draft import OutputTooLarge
from services.kernel.effects import Effects, Outside
from services.kernel.horizon import Horizon, LogEnds, Source
from services.kernel.inbox import Inbox, Item
from services.kernel.ledger import REGISTRY_TOPIC, Ledger
from services.kernel.measures import Measures
from services.kernel.observe import log
from services.kernel.registry import LiveRegistry
from services.kernel.rest import Rest
from services.kernel.service import Service
from services.kernel.state import StateLost, restore
from services.kernel.states import StateBroken
from services.kernel.transaction import Transactions

if TYPE_CHECKING:
    from services.kernel.otel import Spans

CLOSE_SECONDS = 3.0
DRAIN_SECONDS = 4.0
"""So long a shard that closes waits for what it has begun outside: both together less than a rebalance may take."""

FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0
LONGEST_WAIT = 3600.0


class PositionOutOfBounds(Exception):
    """A restored position lies outside its log: a topic was re-created or cut. People must look."""


class Shard:
    """Partition `number` of all inputs of a service, with its producer, its state and its timers."""

    def __init__(
        self,
        service: Service,
        number: int,
        sources: dict[str, TopicPartition],
        *,
        connection: Connection,
        clock: Clock,
        registry: LiveRegistry | None,
        consumer: Source,
        log_ends: LogEnds,
        outside: Outside | None = None,
        spans: "Spans | None" = None,
    ) -> None:
        self.service = service
        self.number = number
        self.sources = sources
        self.open = False
        self.problem: str | None = "opening"
        self._connection = connection
        self._clock = clock
        self._registry = registry
        self._consumer = consumer
        self._log_ends = log_ends
        self._effects = Effects(outside, self._wake, lambda: self.open) if outside is not None else None
        self._spans = spans
        self._given: dict[str, int] = {}
        self._woken = asyncio.Event()
        self._stopping = False
        self._transactions: Transactions | None = None
        self._alone = 0
        self._trusting = True
        self._rest = Rest(service)
        self._unwritable: tuple[tuple[str, int], OutputTooLarge] | None = None
        self.measures = Measures(service, number, clock)
        self._task: asyncio.Task[None] | None = None

    # ---- life

    def start(self) -> None:
        """Opens and works in a task of its own, until `stop`."""
        self.measures.owned(True)
        self._task = asyncio.create_task(self._supervise(), name=f"shard-{self.number}")

    async def stop(self) -> None:
        """Starts nothing new, lets the running transaction end, bounded in time."""
        self._stopping = True
        self._woken.set()
        if self._task is not None:
            patience = CLOSE_SECONDS + (DRAIN_SECONDS if self._effects is not None else 0)
            done, _ = await asyncio.wait([self._task], timeout=patience)
            if not done:
                self._task.cancel()
                await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
        self.measures.owned(False)

    async def _supervise(self) -> None:
        try:
            await self._live()
        finally:
            if self._effects is not None:
                await self._effects.settle(0)

    async def _live(self) -> None:
        backoff = FIRST_BACKOFF
        while not self._stopping:
            try:
                await self._reopen()
                backoff = FIRST_BACKOFF
                await self._work()
                await self._drain()
            except (StateLost, PositionOutOfBounds, StateBroken) as error:
                self._show(error)
                backoff = LONGEST_BACKOFF
                if isinstance(error, StateBroken):
                    self._trusting = False  # all of it is looked into before anything more is decided
            except Exception as error:
                self._show(error)
            finally:
                await self._close()
            if not self._stopping:
                await self._pause_for(backoff * random.uniform(0.5, 1.0))
                backoff = min(backoff * 2, LONGEST_BACKOFF)

    def _show(self, error: Exception) -> None:
        self.problem = f"{type(error).__name__}: {error}"
        self.measures.reopens(error)
        log.error("shard_reopens", shard=self.number, error=self.problem, exc_info=error)

    async def _pause_for(self, seconds: float) -> None:
        if self._stopping:
            return
        self._woken.clear()
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return

    async def _close(self) -> None:
        if self.open:
            self._ledger.states.clear()  # let go of here: no collection ever walks over what was restored
        self.open = False
        self.measures.closed()
        transactions, self._transactions = self._transactions, None
        if transactions is not None:
            await transactions.stop()

    # ---- opening

    async def _reopen(self) -> None:
        began = time.monotonic()
        self._consumer.pause(*self.sources.values())
        self._transactions = Transactions(self._connection, f"{self.service.name}-{self.number}")
        await self._transactions.start()  # from here an older owner is fenced, its open transaction aborted
        with uncollected():
            restored = await restore(self._connection, self.service, self.number, trusting=self._trusting)
            ledger = Ledger(self.service, self.number, restored, traced=self._spans is not None)
        inbox = Inbox([*self.sources, *([REGISTRY_TOPIC] if self.service.registry == "positioned" else [])])
        starts = await self._positions(ledger)
        if self._registry is not None:
            await self._registry.ready.wait()
            self._take_registry(ledger, inbox)
        # No await from here to the resume: records taken before the seek never get in.
        self._ledger, self._inbox, self._given = ledger, inbox, dict(starts)
        self.seek_back()
        self._horizon = Horizon(self.sources, self._consumer, self._log_ends, self._clock)
        self.open, self.problem = True, None
        self._consumer.resume(*self.sources.values())
        if self._effects is not None:
            self._effects.take_back()
            self._begin_effects(restored.effects)
        self.measures.opened(ledger, inbox, restored.parts, time.monotonic() - began)
        log.info("shard_open", shard=self.number, keys=len(ledger.states), positions=starts)

    async def _positions(self, ledger: Ledger) -> dict[str, int]:
        firsts, ends = await self._log_ends(list(self.sources.values()))
        starts = {}
        for topic, source in self.sources.items():
            first, end = firsts[source], ends[source]
            start = starts[topic] = ledger.positions.next.get(topic, first)
            if not first <= start <= end:
                raise PositionOutOfBounds(
                    f"{self.service.name} shard {self.number} would go on at offset {start} of {source.topic}, which "
                    f"holds {first} to {end}: the topic was re-created or cut. Nothing is read until it is restored"
                )
        return starts

    def _take_registry(self, ledger: Ledger, inbox: Inbox) -> None:
        assert self._registry is not None  # noqa: S101 - the caller has looked
        if self.service.registry == "live":
            ledger.registry = self._registry.current
            return
        position = ledger.positions.next.get(REGISTRY_TOPIC, 0)
        sweep = ledger.positions.sweep
        ledger.registry = self._registry.in_force(sweep.offset + 1 if sweep else position)
        inbox.lanes[REGISTRY_TOPIC].put(self._registry.from_offset(sweep.offset + 1 if sweep else position))

    # ---- what comes in

    def put(self, topic: str, items: list[Item]) -> None:
        """Takes records that the consumer gave for this shard; pauses the partition when enough wait."""
        lane = self._inbox.lanes[topic]
        lane.put(items)
        self._given[topic] = items[-1].offset + 1
        if lane.full and topic in self.sources:
            self._consumer.pause(self.sources[topic])
        self._woken.set()

    def seek_back(self) -> None:
        """Lets the consumer go on after what this shard was really given."""
        for topic, source in self.sources.items():
            self._consumer.seek(source, self._given[topic])

    def registry_version(self, item: Item) -> None:
        """A new version of the registry: one more record in this shard's order, or the one in force from now on."""
        if not self.open or self._registry is None:
            return
        if self.service.registry == "positioned":
            self.put(REGISTRY_TOPIC, [item])
        else:
            self._ledger.registry = self._registry.current

    # ---- working

    async def _work(self) -> None:
        while not self._stopping:
            await self._gather()
            self._woken.clear()
            needs_ends = self._fill()
            if self._ledger.draft:
                await self._commit()
            elif needs_ends:
                await self._horizon.look(self._inbox, lambda: self._stopping)
            else:
                await self._wait()

    async def _gather(self) -> None:
        """Rests, as long as no timer is due."""
        while not (self._stopping or self._alone):
            early = min(self._rest.left(self._inbox, time.monotonic()), self._seconds_until_timer())
            if early <= 0:
                return
            await self._pause_for(early)

    def _fill(self) -> bool:
        """Takes what may be decided now. True: it must first be known what else stands in the log."""
        ledger, inbox = self._ledger, self._inbox
        while not ledger.draft.full:
            if ledger.sweeping:
                ledger.sweep()
                continue
            if self._effects is not None and (done := self._effects.next()) is not None:
                ledger.take_outcome(*done, self._clock.now())
                continue
            head, timer = inbox.head(), ledger.next_timer()
            now = self._clock.now()
            if timer is not None and timer[1].due_at <= now and (head is None or head.at > timer[1].due_at):
                if not self._horizon.is_complete_until(timer[1].due_at, inbox):
                    return True
                ledger.fire(*timer, now)
                continue
            if head is None:
                return False
            after = self._read_first(head)
            if after:
                if not self._horizon.was_given_before_the_last_look(head):
                    return True
                earlier = inbox.head(after)
                if earlier is not None and self._horizon.stood_at_the_last_look(earlier):
                    head = earlier
            if head.topic == REGISTRY_TOPIC and ledger.draft:
                return False  # what came before it is decided under the version before it, also when decided again
            self._take(inbox.pop(head.topic))
            if self._alone:
                return False
        return False

    def _take(self, item: Item) -> None:
        if self._unwritable is not None and self._unwritable[0] == (item.topic, item.offset):
            self._ledger.bury(item, self._unwritable[1])
        else:
            self._ledger.take(item)

    def _read_first(self, head: Item) -> tuple[str, ...]:
        """The inputs to be read to their end before this record."""
        declared = self.service.input(head.topic)
        return declared.after if declared is not None else ()

    async def _wait(self) -> None:
        if not self._woken.is_set():
            await self._pause_for(min(max(self._seconds_until_timer(), 0.001), LONGEST_WAIT))

    def _seconds_until_timer(self) -> float:
        timer = self._ledger.next_timer()
        return math.inf if timer is None else self._clock.seconds_until(timer[1].due_at)

    # ---- committing

    async def _commit(self) -> None:
        items = self._ledger.draft.items
        try:
            await self._transact()
        except OutputTooLarge as error:
            # Decided again from what is committed, one by one, so that only the one that cannot be written is buried.
            self._alone = len(items)
            if len(items) == 1:
                self._unwritable = (items[0].topic, items[0].offset), error
            raise
        self._alone = max(0, self._alone - len(items))
        self._resume_lanes()

    async def _transact(self) -> None:
        ledger, transactions = self._ledger, self._transactions
        assert transactions is not None  # noqa: S101 - a shard that works has them
        outputs, began = [*ledger.draft.outputs, *ledger.closing_records()], time.monotonic()
        try:
            taken = await transactions.write(outputs)
        except BaseException:
            self.measures.aborted()
            raise
        draft, seconds = ledger.draft, time.monotonic() - began
        if self._spans is not None:
            ended = time.time_ns()
            self._spans.decided(draft.told, ended - int(seconds * 1e9), ended)
        ledger.confirm()  # only now is the new state shown
        self._rest.begin(time.monotonic(), seconds, len(outputs))
        self.measures.committed(draft, len(outputs), seconds, taken)
        if self._effects is not None:
            self._effects.committed()
            self._begin_effects(key for key, summary in draft.summaries.items() if summary.effects)

    def _begin_effects(self, keys: Iterable[str]) -> None:
        assert self._effects is not None  # noqa: S101 - the caller has looked
        for key in keys:
            state = self._ledger.states.get(key)
            if state is not None:
                self._effects.start(key, state.effects(), self._ledger.registry)

    async def _drain(self) -> None:
        """What has begun outside ends, bounded in time, and its outcomes are committed before others take the shard."""
        if self._effects is None:
            return
        await self._effects.settle(DRAIN_SECONDS)
        while (done := self._effects.next()) is not None:
            self._ledger.take_outcome(*done, self._clock.now())
        if self._ledger.draft:
            await self._commit()

    def _wake(self) -> None:
        self._woken.set()

    def _resume_lanes(self) -> None:
        for topic, source in self.sources.items():
            if not self._inbox.lanes[topic].full:
                self._consumer.resume(source)

    def committed(self) -> dict[TopicPartition, int]:
        """The committed positions, for lag monitors."""
        if not self.open:
            return {}
        following = self._ledger.positions.next
        return {source: following[topic] for topic, source in self.sources.items() if topic in following}
