"""A few bursts of faults on three brokers, from a seed. `make chaos SEED=… MINUTES=…` is the long form."""

from pathlib import Path

import pytest

from tests.chaos.run import chaos
from tests.scale import LONG

SEEDS = [8, 4, 5, 6] if LONG else [8]
SECONDS = 240 if LONG else 1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_repeated_late_or_told_to_the_wrong_agency_when_brokers_and_services_fail(
    seed: int, tmp_path: Path
) -> None:
    said: list[str] = []
    outcome = await chaos(seed, SECONDS, tmp_path, said.append, copies=2 if LONG else 1)
    assert outcome.findings == [], "\n".join([*said, *outcome.lines()])
    assert outcome.bursts > 0
    assert outcome.timers > 0
