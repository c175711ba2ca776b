"""A tenth of the endpoints dead, in all the ways there are: what it costs the others, beside a run without them."""

import statistics
from pathlib import Path

import pytest

from tests.bench import endpoints
from tests.scale import long_run


@long_run
@pytest.mark.timeout(300)
async def test_a_tenth_of_dead_endpoints_costs_the_others_little_and_no_memory_and_is_tried_as_planned(
    kafka: str, tmp_path: Path
) -> None:
    found = await endpoints.run(kafka, "dead.", tmp_path, 100, 12)
    ratios = [dead / alive for dead, alive in zip(found.with_dead.p99, found.without.p99, strict=True)]
    assert statistics.median(ratios) <= 1.5
    assert found.with_dead.memory[-1] <= 1.1 * found.with_dead.memory[len(ratios) // 2]
    assert found.tries
