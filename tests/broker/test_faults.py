"""Exactly once through kill -9, freezes past the session timeout, and a restart of the broker, on a real Kafka."""

import asyncio
import signal
from pathlib import Path

import pytest

from services.embedded.broker import Broker
from tests.broker.compare import compare
from tests.broker.deployment import Deployment
from tests.broker.flow import Flow, registry

FROZEN_SECONDS = 8.0  # the session timeout is 6


@pytest.mark.timeout(240)
async def test_nothing_is_lost_repeated_or_out_of_order_through_kills_freezes_and_a_broker_restart(
    own_broker: Broker, tmp_path: Path
) -> None:
    running = own_broker.status()
    assert running is not None
    deployment = Deployment(running.bootstrap_servers, "fault.", tmp_path)
    flow = Flow(deployment)
    try:
        await deployment.prepare(registry())
        first = deployment.start()
        await deployment.ready()
        flowing = asyncio.create_task(flow.run())
        await asyncio.sleep(2)

        for process in first:  # each service killed with -9 while events flow, and started anew
            process.kill()
        first = deployment.start()
        await deployment.ready(*first)

        second = deployment.start()  # a second copy of each takes over from the frozen first
        await deployment.ready(*second)
        for process in first:
            process.signal(signal.SIGSTOP)
        await asyncio.sleep(FROZEN_SECONDS)
        for process in first:  # the zombies thaw, and go on where they think they were
            process.signal(signal.SIGCONT)
        await asyncio.sleep(2)
        for process in second:
            process.kill()

        await asyncio.to_thread(own_broker.stop)
        own_broker.start(print, running.port, owned=True)
        await asyncio.sleep(3)

        flow.stop()
        await flowing
        assert flow.statements > 200
        assert await compare(deployment, flow.account()) == []
    finally:
        flow.stop()
        deployment.stop()
