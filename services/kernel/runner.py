"""Runs a service: FastStream's broker and consumer, the fetch loop, and the shards that it has been assigned."""

import asyncio
import re
from collections import Counter, defaultdict
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError, KafkaError
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from services.kernel import catalogue
from services.kernel.assignment import assignor, shard_of_edge
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.dead_letter import REPLAYS_TOPIC
from services.kernel.effects import Outside
from services.kernel.ending import ended
from services.kernel.health import HealthServer
from services.kernel.inbox import Item
from services.kernel.letting_go import let_go
from services.kernel.observe import log
from services.kernel.provision import state_lost
from services.kernel.registry import LiveRegistry
from services.kernel.service import Service
from services.kernel.settings import Settings
from services.kernel.shard import Shard
from services.kernel.slots import Slots
from services.kernel.spans import spans_of

NEW_TOPICS_SECONDS = 5
"""How soon a newly provisioned edge is noticed, at the latest."""

GROUP_COMMIT_SECONDS = 5.0
LAG_SECONDS = 5.0
TRY_MS = 1000
LOOKS_AT_TOPICS = 20
"""One broker of several may be away when a service starts: the others say after a second or two what there is."""
READ_AGAIN_SECONDS = 5.0
"""A partition that cannot be read is tried again so often. Its error comes within that time."""


class NotProvisioned(Exception):
    """The topics that the service stands on are missing, or have another number of partitions."""


class Runner(ConsumerRebalanceListener):  # type: ignore[misc]
    """One process of a service."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self.service = service
        self.settings = settings
        self.connection = Connection(settings.kafka)
        self.clock = SystemClock(settings.clock)
        self._spans = spans_of(service.name)
        self.broker = KafkaBroker(
            settings.kafka.bootstrap_servers.split(","),
            security=self.connection.security(),
            client_id=f"herald-{service.name}",
            metadata_max_age_ms=NEW_TOPICS_SECONDS * 1000,
            logger=None,
            allow_auto_create_topics=False,
        )
        self.registry = None if service.registry == "none" else LiveRegistry(self.connection, self.broker, self.clock)
        self._inputs = (*(i.topic for i in service.inputs), REPLAYS_TOPIC)
        self._subscriber = self._subscribe()
        self._shards: dict[int, Shard] = {}
        self._by_source: dict[TopicPartition, tuple[Shard, str]] = {}
        self._unreadable: dict[TopicPartition, str] = {}
        self._failures: Counter[TopicPartition] = Counter()
        self._assigned = False
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None
        self._ending = False
        self._outside: Outside | None = None
        self._health = HealthServer(settings, service.name, self.problems)
        self.app = FastStream(
            self.broker,
            logger=None,
            on_startup=[self._before],
            after_startup=[self._after],
            on_shutdown=[self._shutdown],
        )

    async def run(self) -> None:
        """Runs until a signal comes; raises NotProvisioned, and what broke the fetch loop."""
        try:
            await self.app.run(sleep_time=0.5)
        except Exception as error:
            if not self._ending:
                raise
            # It was told to end while it started: what it had not opened yet was closed under its hands.
            log.info("ended_while_starting", error=repr(error))
        if self._failure is not None:
            raise self._failure

    def problems(self) -> dict[str, str]:
        """What keeps this process from being ready."""
        found = {f"shard {n}": shard.problem for n, shard in list(self._shards.items()) if shard.problem}
        found |= {f"{source.topic}/{source.partition}": why for source, why in list(self._unreadable.items())}
        if self.registry is not None and not self.registry.ready.is_set():
            found["registry"] = "is being read"
        if not self._assigned:
            found["group"] = "has assigned nothing yet"
        return found

    # ---- life

    def _subscribe(self) -> Any:
        service, kafka = self.service, self.settings.kafka
        prefix, edges = kafka.topic_prefix, service.edges
        named = [] if edges else [self.connection.topic(topic) for topic in self._inputs]
        edge = f"({'|'.join(map(re.escape, edges))})[a-z0-9-]+"
        pattern = f"^{re.escape(prefix)}({edge}|{REPLAYS_TOPIC})$" if edges else None
        return self.broker.subscriber(
            *named,
            pattern=pattern,
            group_id=f"{prefix}{service.name}",
            auto_offset_reset="none",
            isolation_level="read_committed",
            ack_policy=AckPolicy.MANUAL,
            partition_assignment_strategy=(assignor(self.settings.partitions, prefix, bool(edges)),),
            session_timeout_ms=kafka.session_timeout_ms,
            heartbeat_interval_ms=kafka.session_timeout_ms // 6,
            rebalance_timeout_ms=10_000,
            fetch_max_wait_ms=1000,
            listener=self,
        )

    async def _before(self) -> None:
        self._health.start()
        catalogue.SHARDS.set(self.settings.partitions)
        if self.service.performer is not None:
            performer = self.service.performer(self.settings)
            self._outside = Outside(performer, Slots(performer.limit), self._spans)
        self._probe = self.connection.consumer(isolation_level="read_uncommitted")
        await self._probe.start()
        await self._check_topics()

    async def _check_topics(self) -> None:
        known = await self._topics_there()
        for name in [*self._inputs, self.service.state_topic, "dead-letters"]:
            topic = self.connection.topic(name)
            if topic not in known and name == self.service.state_topic:
                raise NotProvisioned(state_lost(self.connection, name, self.connection.topic(self._inputs[0])))
            if topic not in known:
                raise NotProvisioned(f"topic {topic} is missing: `herald registry apply FILE` makes it")
            if known[topic] != self.settings.partitions:
                raise NotProvisioned(
                    f"topic {topic} has {known[topic]} partitions and HERALD_PARTITIONS is "
                    f"{self.settings.partitions}: the number is fixed when a deployment is provisioned"
                )

    async def _topics_there(self) -> dict[str, int]:
        """How many partitions each topic has. Raises KafkaConnectionError at once where no broker can be reached."""
        for left in reversed(range(LOOKS_AT_TOPICS)):
            admin = self.connection.admin()
            try:
                await admin.start()
                return {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics()}
            except KafkaConnectionError:
                raise
            except KafkaError as error:
                if not left:
                    raise
                log.warning("topics_unknown", error=repr(error))
                await asyncio.sleep(1)
            finally:
                await admin.close()
        raise AssertionError("the last look returns or raises")

    async def _after(self) -> None:
        if self._ending:
            return
        if self.registry is not None:
            self.registry.on_version = self._on_version
            self._spawn(self.registry.run())
        self._spawn(self._feed())
        self._spawn(self._commit_group_offsets())
        self._spawn(self._look_for_lag())
        log.info("service_started", health=self._health.address)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("service_fails", error=repr(error), exc_info=error)
            self._failure = error
            self.app.exit()

    async def _shutdown(self) -> None:
        self._ending = True
        # The consumer's stop never calls the listener, so the shards are closed first.
        await self._close_shards()
        await ended(*self._tasks)
        # FastStream stops it too, later, and without a bound.
        clients = [self._consumer, getattr(self, "_probe", None)]
        await asyncio.gather(*(let_go(client) for client in clients if client is not None))
        if self._outside is not None:
            await self._outside.performer.close()
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)
        self._health.stop()

    # ---- assignment

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Stops every shard, bounded in time, before others take them."""
        await self._close_shards()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Only pauses, seeks and starts tasks: heartbeats stand still while a listener runs."""
        consumer = self._consumer
        groups: dict[int, dict[str, TopicPartition]] = defaultdict(dict)
        for source in sorted(assigned):
            consumer.pause(source)
            consumer.seek(source, 0)
            topic = self.connection.logical(source.topic)
            is_edge = self.service.edges and topic not in self._inputs
            groups[shard_of_edge(topic, self.settings.partitions) if is_edge else source.partition][topic] = source
        for number, found in groups.items():
            if not set(found) >= set(self._inputs):
                continue  # a shard opens only when this partition of all its inputs is here
            sources = {topic: found[topic] for topic in [*self._inputs, *found]}
            shard = Shard(
                self.service,
                number,
                sources,
                connection=self.connection,
                clock=self.clock,
                registry=self.registry,
                consumer=consumer,
                log_ends=self._log_ends,
                outside=self._outside,
                spans=self._spans,
            )
            self._shards[number] = shard
            self._by_source |= {source: (shard, topic) for topic, source in sources.items()}
            shard.start()
        self._assigned = True
        log.info("assigned", shards=sorted(self._shards))

    async def _close_shards(self) -> None:
        self._assigned = False
        shards, self._shards, self._by_source = self._shards, {}, {}
        self._unreadable.clear()
        catalogue.UNREADABLE.set(0)
        await asyncio.gather(*(shard.stop() for shard in shards.values()))

    def _on_version(self, item: Item) -> None:
        if self.service.on_registry is not None and self.registry is not None:
            self.service.on_registry(self.registry.current)
        for shard in self._shards.values():
            shard.registry_version(item)

    async def _log_ends(
        self, sources: list[TopicPartition]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        return await self._probe.beginning_offsets(sources), await self._probe.end_offsets(sources)

    # ---- fetching

    @property
    def _consumer(self) -> AIOKafkaConsumer:
        return self._subscriber.consumer

    async def _feed(self) -> None:
        while True:
            try:
                self._give(await self._consumer.getmany(timeout_ms=1000, max_records=2000))
            except KafkaError as error:
                await self._find_unreadable(error)

    def _give(self, batches: dict[TopicPartition, list[Any]]) -> None:
        for source, records in batches.items():
            self._is_readable(source)
            shard, topic = self._by_source.get(source, (None, ""))
            if shard is None or not shard.open:
                continue  # it seeks back when it opens
            shard.put(
                topic,
                [
                    Item(topic, r.partition, r.offset, self.clock.at(r.timestamp), r.key, r.value, r.headers)
                    for r in records
                ],
            )

    async def _find_unreadable(self, error: KafkaError) -> None:
        """One partition that cannot be read waits and shows; the others go on."""
        # aiokafka throws away what it had taken from other partitions before it came to the broken one.
        for shard in self._shards.values():
            if shard.open:
                shard.seek_back()
        sources = sorted(self._consumer.assignment() - self._consumer.paused())
        await asyncio.gather(*map(self._try, sources))
        catalogue.UNREADABLE.set(len(self._unreadable))
        log.error("partition_unreadable", error=repr(error), partitions=sorted(map(str, self._unreadable)))
        await asyncio.sleep(0.1)  # an error of the whole connection names no partition: no busy loop

    async def _try(self, source: TopicPartition) -> None:
        """Reads one partition alone, for long enough that it is fetched anew: its error has been told once already."""
        try:
            self._give(await self._consumer.getmany(source, timeout_ms=TRY_MS))
        except KafkaError as found:
            self._unreadable[source] = repr(found)
            self._failures[source] += 1
            self._consumer.pause(source)
            self._spawn(self._read_again(source, self._failures[source]))

    async def _read_again(self, source: TopicPartition, failures: int) -> None:
        """It shows as long as it is not read: an alert would not wait for one that comes and goes."""
        await asyncio.sleep(READ_AGAIN_SECONDS)
        if source not in self._unreadable:
            return
        with suppress(IllegalStateError):  # it may have been assigned away meanwhile
            self._consumer.resume(source)
        await asyncio.sleep(READ_AGAIN_SECONDS)  # should there be nothing to read, no error is the only sign
        if self._failures[source] == failures:
            self._is_readable(source)

    def _is_readable(self, source: TopicPartition) -> None:
        if self._unreadable.pop(source, None) is not None:
            catalogue.UNREADABLE.set(len(self._unreadable))

    async def _commit_group_offsets(self) -> None:
        """For lag monitors only: nothing starts from them."""
        told: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(GROUP_COMMIT_SECONDS)
            positions: dict[TopicPartition, int] = {}
            for shard in self._shards.values():
                positions |= shard.committed()
            if positions and positions != told:
                with suppress(CommitFailedError, IllegalStateError, KafkaError):
                    await self._consumer.commit(positions)
                    told = positions

    async def _look_for_lag(self) -> None:
        """How far the inputs reach beyond what their shards were given."""
        while True:
            await asyncio.sleep(LAG_SECONDS)
            with suppress(IllegalStateError, KafkaError):  # assigned away meanwhile, or Kafka is away: the next look
                shards = [shard for shard in self._shards.values() if shard.open]
                ends = await self._probe.end_offsets([source for shard in shards for source in shard.sources.values()])
                for shard in shards:
                    positions = {topic: await self._consumer.position(at) for topic, at in shard.sources.items()}
                    shard.measures.lag.looked({topic: ends[at] for topic, at in shard.sources.items()}, positions)
