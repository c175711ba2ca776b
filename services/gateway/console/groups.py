"""How far each service has come in its topics, and which process has which shard: as Kafka knows it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.topics import SERVICES, TOPICS, Service
from services.kernel.connection import Connection

SECONDS = 10.0
_IN_TRANSACTIONS = {topic.name for topic in TOPICS if {*topic.writers} & {*SERVICES}}


class Unreadable(Exception):
    """Kafka does not say; one line why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One partition that a group reads. `lag` is None where nothing was committed, and nothing can be said."""

    topic: str
    partition: int
    next: int | None
    end: int
    owner: str | None

    @property
    def lag(self) -> int | None:
        """Records that it has not got to: group offsets are committed every few seconds.

        A transaction ends with a marker, which counts as a record and which nobody reads: one behind is none.
        """
        behind = self.end - (self.next or 0)
        return 0 if behind <= (self.topic in _IN_TRANSACTIONS) else None if self.next is None else behind


@dataclass(frozen=True, slots=True)
class Group:
    """One service's. `members` are its processes, `state` what Kafka says of the group."""

    service: str
    state: str
    members: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def lag(self) -> int:
        """In all."""
        return sum(part.lag or 0 for part in self.parts)

    @property
    def without_owner(self) -> tuple[Part, ...]:
        """What nobody reads."""
        return tuple(part for part in self.parts if part.owner is None)


def groups(connection: Connection) -> list[Group]:
    """Every service's group. It waits for Kafka: call it in a thread. Raises Unreadable."""
    try:
        admin = AdminClient(connection.librdkafka())
        prefix = connection.settings.topic_prefix
        names = {f"{prefix}{service}": service for service in SERVICES}
        described = admin.describe_consumer_groups(list(names), request_timeout=SECONDS)
        found = {names[name]: future.result() for name, future in described.items()}
        committed = {service: _committed(admin, f"{prefix}{service}") for service in names.values()}
        owned = {service: dict(_owned(group)) for service, group in found.items()}
        every = {place for service in found for place in (*committed[service], *owned[service])}
        ends = _ends(admin, every)
    except KafkaException as error:
        raise Unreadable(error.args[0].str()) from None

    def part(place: tuple[str, int], service: Service) -> Part:
        topic, number = place
        owner = owned[service].get(place)
        return Part(connection.logical(topic), number, committed[service].get(place), ends[place], owner)

    return [
        Group(
            service,
            group.state.name.lower().replace("_", " "),
            tuple(sorted(_member(one) for one in group.members)),
            tuple(part(place, service) for place in sorted({*committed[service], *owned[service]})),
        )
        for service, group in found.items()
    ]


def _committed(admin: AdminClient, name: str) -> dict[tuple[str, int], int]:
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)], request_timeout=SECONDS)
    found = asked[name].result().topic_partitions or []
    return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}


def _owned(group: Any) -> Iterator[tuple[tuple[str, int], str]]:
    for member in group.members:
        for one in member.assignment.topic_partitions if member.assignment else ():
            yield (one.topic, one.partition), _member(member)


def _member(member: Any) -> str:
    """A process: where it is, and as much of its id as tells it from others."""
    return f"{member.host.lstrip('/')} …{member.member_id[-6:]}"


def _ends(admin: AdminClient, places: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
    if not places:
        return {}
    newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    latest = {TopicPartition(topic, number): newest for topic, number in places}
    found: dict[tuple[str, int], int] = defaultdict(int)
    for where, future in admin.list_offsets(latest, request_timeout=SECONDS).items():
        found[where.topic, where.partition] = future.result().offset
    return found
