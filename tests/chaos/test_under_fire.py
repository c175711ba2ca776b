"""Random faults from a seed while everything flows: what comes out is compared with what went in, record by record.

`HERALD_CHAOS_SEED=7 pytest tests/chaos/test_under_fire.py` replays one seed alone.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from services.embedded.broker import Broker
from tests.broker.conftest import own_broker  # noqa: F401 - a broker to be hurt
from tests.broker.deployment import ALL, Deployment, Process
from tests.broker.flow import Flow, compare, registry
from tests.scale import LONG, scaled

FAULTS = ("kill", "kill", "kill", "terminate", "join", "freeze")
KILLS = scaled(20, 100)
FROZEN_SECONDS = (2.0, 8.0, 12.0)  # shorter than, past the session timeout (6), past the transaction timeout (10)
SEEDS = [int(os.environ["HERALD_CHAOS_SEED"])] if "HERALD_CHAOS_SEED" in os.environ else ([1, 2, 3] if LONG else [1])


class Fire:
    """Hurts the processes of a deployment, and sees to it that each service has one that lives."""

    def __init__(self, deployment: Deployment, seed: int) -> None:
        self._deployment = deployment
        self._dice = random.Random(seed)
        self._living: dict[str, list[Process]] = {name: deployment.start(name) for name in ALL}
        self._thawing: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()

    async def burn(self, kills: int) -> None:
        """Goes on until so many processes were killed with -9, and every frozen one has thawed."""
        while self.done["kill"] < kills:
            fault, name = self._dice.choice(FAULTS), self._dice.choice(ALL)
            process = self._dice.choice(self._living[name])
            self.done[fault] += 1
            match fault:
                case "kill":
                    await asyncio.to_thread(process.kill)
                    self._replace(name, process)
                case "terminate":
                    process.signal(signal.SIGTERM)
                    self._replace(name, process)
                case "join" if len(self._living[name]) == 1:
                    self._living[name] += self._deployment.start(name)
                case "join":  # or, where there are two, one leaves
                    process.signal(signal.SIGTERM)
                    self._living[name].remove(process)
                case "freeze":
                    process.signal(signal.SIGSTOP)
                    self._replace(name, process)
                    self._thaw_later(process)
            await asyncio.sleep(self._dice.uniform(0.1, 1.2))
        await asyncio.gather(*self._thawing)

    def _replace(self, name: str, process: Process) -> None:
        self._living[name].remove(process)
        self._living[name] += self._deployment.start(name)

    def _thaw_later(self, process: Process) -> None:
        seconds = self._dice.choice(FROZEN_SECONDS)

        async def thaw() -> None:
            await asyncio.sleep(seconds)
            process.signal(signal.SIGCONT)  # a zombie: it goes on where it thinks it was
            await asyncio.sleep(1)
            process.signal(signal.SIGTERM)

        task = asyncio.create_task(thaw())
        self._thawing.add(task)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_repeated_or_out_of_order_under_random_faults(
    seed: int,
    own_broker: Broker,  # noqa: F811
    tmp_path: Path,
) -> None:
    running = own_broker.status()
    assert running is not None
    deployment = Deployment(running.bootstrap_servers, "fire.", tmp_path)
    flow = Flow(deployment, per_second=8)
    try:
        await deployment.prepare(registry())
        fire = Fire(deployment, seed)
        await deployment.ready()
        flowing = asyncio.create_task(flow.run())
        await fire.burn(KILLS)
        flow.stop()
        await flowing
        assert await compare(deployment, flow) == [], f"seed {seed}, {fire.done}"
    finally:
        flow.stop()
        deployment.stop()
