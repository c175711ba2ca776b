"""An earlier version gives way to this one under load, service by service, and comes back: each alert once, in turn."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from tests.broker.deployment import ALL, Deployment, Process
from tests.broker.flow import Flow, flowing
from tests.chaos.previous import ROOT, wheel
from tests.scale import LONG

SERVICES = ("deliveries", *reversed(ALL))
"""Who reads before who writes, as the runbook says; any order must do."""

BACK = [1, 2, 4, 8] if LONG else [1]
"""So many changes of the code lie between the two versions."""

ROLLED_BACK = ("notifier", "acknowledgements")
"""In the short form: those that hold the most state."""

THIS = {"PYTHONPATH": str(ROOT)}

pytestmark = pytest.mark.timeout(600)


async def beside(deployment: Deployment, flow: Flow, old: Process) -> Process:
    """Its heir comes first, so that both versions work on shards of one service for a while."""
    (new,) = deployment.start(old.name)
    await deployment.ready(new)
    await flow.goes_on(2)
    return await ended(deployment, flow, old, new)


async def after(deployment: Deployment, flow: Flow, old: Process) -> Process:
    """Its heir comes when it has gone."""
    old.signal(signal.SIGTERM)
    (new,) = deployment.start(old.name)
    return await ended(deployment, flow, old, new)


async def ended(deployment: Deployment, flow: Flow, old: Process, new: Process) -> Process:
    """The heir, once it works alone."""
    if old.popen.poll() is None:
        old.signal(signal.SIGTERM)
    assert await asyncio.to_thread(old.popen.wait, 30) == 0, old.log.read_text()[-3000:]
    await deployment.ready(new)
    await flow.goes_on(2)
    return new


@pytest.mark.parametrize("back", BACK)
async def test_a_rolling_upgrade_under_load_and_its_rollback_lose_and_repeat_nothing(
    back: int, kafka: str, tmp_path: Path
) -> None:
    before = wheel(back, tmp_path)
    deployment = Deployment(kafka, f"upgrade{back}.", tmp_path, partitions=2, env=before)
    order = random.Random(back).sample(SERVICES, len(SERVICES)) if LONG else list(SERVICES)
    async with flowing(deployment) as flow:
        living = {process.name: process for process in deployment.start(*SERVICES)}
        await deployment.ready()
        deployment.env = THIS
        for name in order:
            living[name] = await beside(deployment, flow, living[name])
        deployment.env = before
        for name in reversed(order) if LONG else ROLLED_BACK:
            await after(deployment, flow, living[name])
