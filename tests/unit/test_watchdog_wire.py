"""How several watchdogs share what they watch: not at all."""

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.protocol.metadata import MetadataResponse_v0

from services.kernel.connection import Connection
from services.kernel.settings import KafkaSettings
from services.watchdog.wire import HEARD, Wire


async def test_one_of_several_watchdogs_gets_all_that_they_hear_and_joins_their_group_in_one_request() -> None:
    """A second strategy would be a second request, which throws the group back into sharing out."""
    (strategy,) = Wire(
        Connection(KafkaSettings(bootstrap_servers="127.0.0.1:9"))
    )._consumer._partition_assignment_strategy
    cluster = ClusterMetadata()
    topics = [(0, name, [(0, 0, 1, [1], [1])]) for name in HEARD]
    cluster.update_metadata(MetadataResponse_v0([(1, "127.0.0.1", 9092)], topics))
    members = {name: strategy.metadata(HEARD) for name in ("first", "second", "third")}
    shared = strategy.assign(cluster, members)
    got = [sorted(topic for topic, partitions in each.assignment if partitions) for each in shared.values()]
    assert sorted(got) == [[], [], sorted(HEARD)]
    assert strategy.name == RoundRobinPartitionAssignor.name  # an earlier watchdog knows no other
