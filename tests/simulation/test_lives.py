"""Thousands of random lives from a seed; a failing one replays alone (`python -m tests.simulation.lives --lives 1`)."""

import pytest

from tests.scale import scaled
from tests.simulation.lives import Life

LIVES = scaled(400, 10_000)
SHARES = 4


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("share", range(SHARES))
def test_random_lives_with_crashes_between_any_two_steps_keep_what_must_never_be_otherwise(share: int) -> None:
    for seed in range(share, LIVES, SHARES):
        try:
            Life(seed).play()
        except Exception as error:
            raise AssertionError(f"python -m tests.simulation.lives --lives 1 --seed {seed}") from error
