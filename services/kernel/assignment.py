"""Which partitions make a shard, and which member of the group gets it.

Partition p of every input of a service is shard p. An edge topic has one partition: its name decides the shard.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from services.kernel.dead_letter import REPLAYS_TOPIC


def shard_of_edge(topic: str, shards: int) -> int:
    """The shard of an edge topic, by its name (the contract's, without prefix)."""
    return zlib.crc32(topic.encode()) % shards


def assignor(shards: int, prefix: str, edges: bool) -> type[AbstractPartitionAssignor]:
    """An assignor that keeps shards whole: shard s goes to member s·n/shards of n, whatever its topics.

    With co-partitioned inputs this is what the range assignor does, also while members of two builds differ in their
    inputs: a member gets of a shard what it subscribes to.
    """

    class ShardAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
        name = "herald-shards"
        version = 0

        @classmethod
        def assign(
            cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
        ) -> dict[str, ConsumerProtocolMemberAssignment]:
            order = sorted(members)
            given: dict[str, dict[str, list[int]]] = {member: defaultdict(list) for member in order}
            for topic in sorted({t for m in members.values() for t in m.subscription}):
                for partition in sorted(cluster.partitions_for_topic(topic) or ()):
                    name = topic.removeprefix(prefix)
                    # Of what an edge service subscribes to, only `replays` is partitioned as internal topics are.
                    shard = shard_of_edge(name, shards) if edges and name != REPLAYS_TOPIC else partition
                    member = order[shard * len(order) // shards] if shard < shards else order[-1]
                    if topic in members[member].subscription:
                        given[member][topic].append(partition)
            return {
                member: ConsumerProtocolMemberAssignment(cls.version, sorted(topics.items()), b"")
                for member, topics in given.items()
            }

        @classmethod
        def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
            return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

        @classmethod
        def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
            """Nothing to remember."""

    return ShardAssignor
