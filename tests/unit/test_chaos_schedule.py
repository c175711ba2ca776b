"""A schedule of faults is a pure function of its seed."""

from itertools import islice

from schemas.topics import SERVICES
from tests.chaos.cluster import NODES
from tests.chaos.hurt import WORKING
from tests.chaos.schedule import AROUND, HERALD, KAFKA, KINDS, LONGEST_WAIT, QUIET_SECONDS, Burst, bursts


def first(seed: int, count: int, kinds: tuple[str, ...] = KINDS) -> list[Burst]:
    """The first bursts of a seed."""
    return list(islice(bursts(seed, kinds), count))


def test_the_same_seed_gives_the_same_bursts_and_another_gives_others() -> None:
    assert first(7, 30) == first(7, 30)
    assert first(7, 30) != first(8, 30)


def test_one_thing_at_a_time_befalls_kafka_and_each_kind_comes_round_before_one_comes_again() -> None:
    for seed in range(20):
        found = first(seed, 2 * len(KAFKA))
        kafka = [[one.kind for one in burst.faults if one.kind in KAFKA] for burst in found]
        assert all(len(kinds) == 1 for kinds in kafka)
        drawn = [kind for (kind,) in kafka]
        assert sorted(drawn[: len(KAFKA)]) == sorted(drawn[len(KAFKA) :]) == sorted(KAFKA)
        others = [one.kind for burst in found for one in burst.faults if one.kind in HERALD]
        assert set(others) == set(HERALD)
        around = [[one.kind for one in burst.faults if one.kind in AROUND] for burst in found]
        assert all(1 <= len(kinds) <= 2 for kinds in around)
        assert {kind for kinds in around for kind in kinds} == set(AROUND)


def test_what_befalls_doors_databases_and_watchdogs_changes_nothing_of_what_befalls_the_others() -> None:
    for seed in range(20):
        without = first(seed, 20, KAFKA + HERALD)
        others = [tuple(one for one in burst.faults if one.kind not in AROUND) for burst in first(seed, 20)]
        assert others == [burst.faults for burst in without]


def test_a_fault_names_what_there_is() -> None:
    for burst in first(3, 200):
        assert [one.after for one in burst.faults] == sorted(one.after for one in burst.faults)
        assert QUIET_SECONDS[0] <= burst.quiet <= QUIET_SECONDS[1]
        for one in burst.faults:
            assert 0 <= one.after <= LONGEST_WAIT
            service, _, step = one.where.partition(" ")
            assert not service or service in SERVICES
            assert not step or step.partition(":")[0] in WORKING
            if one.kind.endswith("a disk") or one.kind in {"cut the network", "slow the network"}:
                assert one.number in NODES


def test_only_what_was_asked_for_goes_wrong() -> None:
    asked = ("kill a service", "cut the network")
    assert {one.kind for burst in first(1, 20, asked) for one in burst.faults} == set(asked)
