"""Random faults from a seed while everything flows and timers fire: what comes out is compared with what went in.

`HERALD_CHAOS_SEED=7 pytest tests/chaos/test_under_fire.py` replays one seed alone.
"""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.audit.run import audit
from services.embedded.broker import Broker
from tests.broker import clocks
from tests.broker.compare import compare
from tests.broker.deployment import Deployment
from tests.broker.flow import Flow, registry
from tests.chaos.fire import Fire
from tests.scale import LONG, scaled

KILLS = scaled(3, 40)
SEEDS = [int(os.environ["HERALD_CHAOS_SEED"])] if "HERALD_CHAOS_SEED" in os.environ else ([1, 2, 3] if LONG else [1])
TWO_HOURS_A_SECOND = 7200


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_repeated_early_or_out_of_order_under_random_faults(
    seed: int, own_broker: Broker, tmp_path: Path
) -> None:
    running = own_broker.status()
    assert running is not None
    env, clock = clocks.since(datetime.now(UTC), rate=TWO_HOURS_A_SECOND)
    deployment = Deployment(running.bootstrap_servers, "fire.", tmp_path, env=env)
    flow = Flow(deployment, per_second=8, clock=clock)
    try:
        await deployment.prepare(registry())
        fire = Fire(deployment, own_broker, seed)
        await deployment.ready()
        flowing = asyncio.create_task(flow.run())
        await fire.burn(KILLS)
        flow.stop()
        await flowing
        print(f"seed {seed}: {dict(fire.done)}; {flow.statements} statements, {len(flow.timed)} timed windows")
        assert await compare(deployment, flow.account()) == [], f"seed {seed}, {fire.done}"
        report = await audit(deployment.connection, clock=clock, grace=timedelta(0))
        assert [one.line for one in report.differences] == [], f"seed {seed}, {fire.done}"
    finally:
        flow.stop()
        deployment.stop()
