"""A few faults on three brokers, from a seed. `make chaos SEED=… MINUTES=…` is the long form."""

import socket
from pathlib import Path
from typing import Any

import pytest

from services.embedded.ports import LOOPBACK
from tests.chaos.cluster import Cluster
from tests.chaos.run import TEN_HOURS_A_SECOND, chaos
from tests.chaos.schedule import AROUND
from tests.scale import LONG, long_run

SEEDS = [4, 5, 6] if LONG else [990]
"""990: the first four of `ONCE` in its first burst, in which one door is killed too, and the other frozen."""

MINUTES = 4 if LONG else 0
ONCE = ("a leader alone", "kill a service", "change the registry", "mail is refused", *AROUND)
SMALL: dict[str, Any] = {"copies": 1, "partitions": 2, "per_second": 3.0, "rate": TEN_HOURS_A_SECOND, "kinds": ONCE}
"""So that it is ready soon, and the last window need not be waited for so long."""


@pytest.mark.alone
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_repeated_late_or_told_to_the_wrong_agency_when_brokers_and_services_fail(
    seed: int, tmp_path: Path
) -> None:
    said: list[str] = []
    outcome = await chaos(seed, MINUTES * 60, tmp_path, said.append, **({} if LONG else SMALL))
    assert outcome.findings == [], "\n".join([*said, *outcome.lines()])
    assert outcome.bursts > 0
    assert outcome.timers > 0


@long_run
@pytest.mark.timeout(300)
async def test_a_port_that_was_taken_meanwhile_is_left_to_whoever_has_it(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    with socket.create_server((LOOPBACK, cluster.nodes[1].clients_port)):
        try:
            await cluster.start()
            assert await cluster.leader("nowhere", 0) == 0
        finally:
            cluster.stop()
