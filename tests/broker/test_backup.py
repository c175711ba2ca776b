"""A cold back-up of a real deployment, destroyed and restored: nothing is lost or told twice, what waited goes on."""

import asyncio
import shutil
from pathlib import Path

import pytest

from services.embedded.backup import back_up, restore
from services.embedded.broker import Broker
from tests.broker.deployment import ALL, Deployment
from tests.broker.flow import flowing, registry
from tests.broker.test_deployment import send, statement
from tests.scale import long_run, scaled

TIMES = scaled(1, 5)

pytestmark = pytest.mark.timeout(240)


async def test_destroyed_in_the_midst_of_work_and_restored_nothing_is_lost_or_told_twice_and_what_waited_goes_on(
    own_broker: Broker, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    running = own_broker.status()
    assert running is not None
    deployment = Deployment(running.bootstrap_servers, "copied.", tmp_path_factory.mktemp("services"), partitions=2)
    async with flowing(deployment) as flow:
        for number in range(TIMES):
            processes = deployment.start()
            await deployment.ready(*processes)
            await flow.goes_on(20)
            for process in processes:
                process.kill()  # some with a transaction open
            await flow.goes_on(10)  # these wait
            await asyncio.to_thread(own_broker.stop)
            copy = tmp_path_factory.mktemp("back-up") / str(number)
            done = back_up(tmp_path, copy)
            assert done.files > 100
            shutil.rmtree(own_broker.folder)
            assert restore(copy, tmp_path) == done
            # In this thread: an owned broker lives as long as the thread that started it.
            own_broker.start(print, running.port, owned=True)
        await deployment.ready(*deployment.start())
        await flow.goes_on()


@long_run
async def test_what_was_said_since_the_back_up_and_is_said_again_is_told_with_the_ids_that_it_had(
    own_broker: Broker, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    running = own_broker.status()
    assert running is not None
    deployment = Deployment(running.bootstrap_servers, "again.", tmp_path_factory.mktemp("services"), partitions=1)
    copy = tmp_path_factory.mktemp("back-up") / "copy"

    async def told(count: int) -> list[str]:
        """Starts all, waits until so much is told, and stops all."""
        deployment.start(*ALL)
        found = [event["id"] for event in await deployment.settled("alerts.agency-a", count)]
        deployment.stop()
        return found

    try:
        await deployment.prepare(registry())
        await send(deployment, "releases.lab-a", statement("kept", "e-1"))
        first = await told(1)
        own_broker.stop()
        back_up(tmp_path, copy)
        own_broker.start(print, running.port, owned=True)
        await send(deployment, "releases.lab-a", statement("kept", "e-2", tlp="TLP:RED"), statement("new", "e-3"))
        before = await told(3)
        own_broker.stop()
        shutil.rmtree(own_broker.folder)
        restore(copy, tmp_path)
        own_broker.start(print, running.port, owned=True)
        assert await told(1) == first
        await send(deployment, "releases.lab-a", statement("kept", "e-2", tlp="TLP:RED"), statement("new", "e-3"))
        assert await told(3) == before
    finally:
        deployment.stop()
