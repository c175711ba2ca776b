"""An operator's hands on a deliveries service that runs: what they ask for is what a real receiver gets."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.broker.delivered import BEGAN, PARTITIONS, say
from tests.broker.deployment import Deployment
from tests.broker.receivers import SECRET, Hooks
from tests.broker.test_deliveries_command import Operator
from tests.unit.endpoint_world import registry, requested

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
PATH = "/hook"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks) -> AsyncIterator[Operator]:
    """Somebody at a deployment where deliveries alone runs."""
    folder = tmp_path_factory.mktemp("handled")
    env = {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder)}
    deployment = Deployment(kafka, "handled.", folder, partitions=PARTITIONS, env=env)
    named = registry(hook={"url": hooked.address + PATH, "secrets": ["env:HOOK_SECRET"]})
    update = {"version": 1, "namespace": "6d1f3c1e-6f0e-4b5c-9c39-1d0a5b1d7c55", "allow_networks": ("127.0.0.0/8",)}
    try:
        await deployment.prepare(named.model_copy(update=update))
        deployment.start("deliveries")
        await deployment.ready()
        yield Operator(deployment)
    finally:
        deployment.stop()


async def stands(operator: Operator, delivery_id: str, status: str) -> None:
    """Waits until a delivery is so."""
    while (await operator.objects("show", delivery_id))[0]["status"] != status:
        await asyncio.sleep(0.1)


async def test_a_test_reaches_the_endpoint_and_says_what_that_answers(operator: Operator, hooked: Hooks) -> None:
    assert "cisa/hook: taken" in await operator.run("test", "cisa/hook")
    assert len(hooked.ids(PATH)) == 1
    hooked.answer = lambda path: 500
    assert "cisa/hook: not taken, server-error" in await operator.run("test", "cisa/hook", code=1)
    hooked.answer = lambda path: 204


async def test_nothing_goes_out_within_a_pause_and_a_resume_lets_it_go(operator: Operator, hooked: Hooks) -> None:
    asked = requested(1, 1, BEGAN)
    await operator.run("pause", "cisa/hook", "--for", "8h")
    await say(operator.deployment, [asked])
    before = len(hooked.taken)
    await operator.run("test", "cisa/hook")  # behind it in the same shard: what it waits for was decided
    assert len(hooked.taken) == before + 1
    (shown,) = await operator.objects("show", asked.delivery_id)
    assert (shown["status"], shown["next_try"]) == ("pending", shown["paused_until"])
    await operator.run("resume", "cisa/hook")
    await stands(operator, asked.delivery_id, "taken")
    assert hooked.ids(PATH).count(asked.alert.alert_id) == 1


async def test_what_was_taken_or_abandoned_goes_out_again_by_its_id(operator: Operator, hooked: Hooks) -> None:
    taken, lost = requested(2, 1, BEGAN), requested(3, 1, BEGAN)
    await say(operator.deployment, [taken])
    await stands(operator, taken.delivery_id, "taken")
    await operator.run("retry", taken.delivery_id, code=3)
    await operator.run("retry", taken.delivery_id, "--again")
    await stands(operator, taken.delivery_id, "taken")
    assert hooked.ids(PATH).count(taken.alert.alert_id) == 2
    hooked.answer = lambda path: 410
    await say(operator.deployment, [lost])
    await stands(operator, lost.delivery_id, "abandoned")
    hooked.answer = lambda path: 204
    await operator.run("retry", lost.delivery_id)
    await stands(operator, lost.delivery_id, "taken")
    assert hooked.ids(PATH).count(lost.alert.alert_id) == 1
    (shown,) = await operator.objects("show", lost.delivery_id)
    assert [(one["outcome"], one["reason"]) for one in shown["outcomes"]] == [("abandoned", "gone"), ("taken", None)]
    assert shown["outcomes"][0]["seconds"] is not None
