"""Each shard is hurt between two steps of its work, on a real Kafka: what comes out is compared with what went in."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.broker.deployment import ALL, Deployment, Process
from tests.broker.flow import flowing
from tests.chaos.hurt import OPENING, STEPS
from tests.scale import long_run

OTHERS = tuple(name for name in ALL if name != "announcements")
PATIENT = {"HERALD_KAFKA__TRANSACTION_TIMEOUT_MS": "60000"}
"""Only the heir's fencing ends the transaction of a frozen owner."""

pytestmark = [long_run, pytest.mark.timeout(900)]


async def test_killed_between_any_two_steps_nothing_is_lost_or_repeated(kafka: str, tmp_path: Path) -> None:
    deployment = Deployment(kafka, "steps.", tmp_path, partitions=2)
    living: dict[str, Process] = {}

    async def killed_at(step: str, name: str) -> None:
        living[name].signal(signal.SIGTERM)  # it leaves the group, so that its heir need not wait
        times = 1 if step in OPENING else 2 + STEPS.index(step)
        (hurt,) = deployment.start(name, step=f"{step}:{times}:kill")
        assert await asyncio.to_thread(hurt.popen.wait, 60) == -signal.SIGKILL
        (living[name],) = deployment.start(name)
        await deployment.ready(living[name])

    async with flowing(deployment):
        living |= dict(zip(ALL, deployment.start(), strict=True))
        await deployment.ready()
        for shift in range(len(STEPS)):  # each service at another step
            at = [STEPS[(shift + number) % len(STEPS)] for number in range(len(ALL))]
            await asyncio.gather(*map(killed_at, at, ALL))


async def test_killed_just_after_a_commit_its_heir_does_not_decide_the_same_again(kafka: str, tmp_path: Path) -> None:
    deployment = Deployment(kafka, "after.", tmp_path, partitions=1)
    async with flowing(deployment) as flow:
        deployment.start(*OTHERS)
        (owner,) = deployment.start("announcements", step="begin:6:kill")
        assert await asyncio.to_thread(owner.popen.wait, 60) == -signal.SIGKILL
        (heir,) = deployment.start("announcements")
        await deployment.ready(heir)
        await flow.goes_on()


async def test_a_frozen_owner_that_thaws_cannot_commit_what_its_heir_has_done(kafka: str, tmp_path: Path) -> None:
    deployment = Deployment(kafka, "thaws.", tmp_path, partitions=1, env=PATIENT)
    async with flowing(deployment) as flow:
        deployment.start(*OTHERS)
        (owner,) = deployment.start("announcements", step="commit:5:freeze")
        await owner.says("trapped at commit")
        (heir,) = deployment.start("announcements")
        await deployment.ready(heir)
        await flow.goes_on()
        owner.signal(signal.SIGCONT)
        await flow.goes_on()


async def test_an_owner_that_commits_while_its_heir_opens_is_fenced_before_the_heir_has_read(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "opens.", tmp_path, partitions=1, env=PATIENT)
    async with flowing(deployment) as flow:
        deployment.start(*OTHERS)
        (owner,) = deployment.start("announcements", step="commit:5:freeze,committed:5:freeze")
        await owner.says("trapped at commit")
        (heir,) = deployment.start("announcements", step="restored:1:5")
        await heir.says("trapped at restored")
        owner.signal(signal.SIGCONT)
        await deployment.ready(heir)
        await flow.goes_on()


async def test_a_late_zombie_that_calls_init_producer_id_costs_the_rightful_owner_a_reopening(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "zombie.", tmp_path, partitions=1)
    async with flowing(deployment) as flow:
        deployment.start(*OTHERS)
        (zombie,) = deployment.start("announcements", step="fence:1:freeze")
        await zombie.says("trapped at fence")
        (owner,) = deployment.start("announcements")
        await deployment.ready(owner)
        await flow.goes_on()
        zombie.signal(signal.SIGCONT)
        await owner.says("shard_reopens")
        await flow.goes_on()


async def test_a_transaction_longer_than_its_timeout_is_done_anew_with_what_has_queued_up(
    kafka: str, tmp_path: Path
) -> None:
    env = {"HERALD_KAFKA__TRANSACTION_TIMEOUT_MS": "1000"}  # the broker looks every 10 s for what has timed out
    deployment = Deployment(kafka, "longer.", tmp_path, partitions=2, env=env)
    async with flowing(deployment) as flow:
        processes = deployment.start(step="commit:4:14")
        await asyncio.gather(*(process.says("shard_reopens") for process in processes))
        await deployment.ready()
        await flow.goes_on()


async def test_a_restore_longer_than_the_session_timeout_loses_no_shard(kafka: str, tmp_path: Path) -> None:
    deployment = Deployment(kafka, "restores.", tmp_path, partitions=2)
    async with flowing(deployment) as flow:
        slow = deployment.start(step="restored:1:9")  # the session timeout is 6
        await deployment.ready()
        await flow.goes_on()
        for process in slow:
            assert process.log.read_text().count('"assigned"') == 1
