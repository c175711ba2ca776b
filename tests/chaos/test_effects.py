"""Deliveries are killed between effect and commit, in both orders: nothing is forgotten, repeats keep their id."""

import asyncio
import random
import signal
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.broker.receivers import hooks, mails
from tests.chaos import asking
from tests.chaos.asking import MAIL, ask, hook, registry
from tests.scale import scaled

SEED = 20270302
KILLS = scaled(4, 50)
EACH = 3
STEPS = ("effect", "done", "begin", "sent", "commit", "committed", "confirmed")


@pytest.mark.timeout(900)
async def test_killed_between_effect_and_commit_nothing_is_forgotten_and_a_crash_repeats_at_most_what_was_begun(
    kafka: str, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    lives: list[tuple[list[str], list[str]]] = [([], [])]
    with hooks() as hooked, mails() as mailed:
        deployment = asking.deployment(kafka, "effects.", tmp_path)
        await deployment.prepare(registry(mailed, {"hook": hook(hooked, "a"), "desk": MAIL}))
        try:
            for kill in range(KILLS):
                step = STEPS[kill] if kill < 2 else chance.choice(STEPS)
                (hurt,) = deployment.start("deliveries", step=f"{step}:{chance.randint(1, 3)}:kill")
                await ask(deployment, ("hook", "desk"), range(kill * EACH, (kill + 1) * EACH))
                assert await asyncio.to_thread(hurt.popen.wait, 60) == -signal.SIGKILL
                while hooked.connections or mailed.connections:
                    await asyncio.sleep(0.02)
                lives.append((hooked.ids("/a"), mailed.ids()))
            deployment.start("deliveries")
            outcomes = await deployment.settled("delivery-outcomes", KILLS * EACH * 2)
        finally:
            deployment.stop()
    ends = Counter((one["data"]["endpoint"], one["data"]["alert_id"]) for one in outcomes)
    assert len(ends) == KILLS * EACH * 2
    assert set(ends.values()) == {1}
    assert {one["type"] for one in outcomes} == {"herald.delivery.succeeded.v1"}
    lives.append((hooked.ids("/a"), mailed.ids()))
    for channel in (0, 1):
        assert set(lives[-1][channel]) == {alert for _, alert in ends}
        for before, after in pairwise(lives):
            in_one_life = after[channel][len(before[channel]) :]
            assert len(in_one_life) == len(set(in_one_life)), "a repeat without a crash"
