"""Deliveries are killed between effect and commit, in both orders: nothing is forgotten, repeats keep their id."""

import asyncio
import json
import random
import signal
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from schemas.delivery import DeliveryRequested
from schemas.envelope import encode
from schemas.registry import Registry
from tests.broker.deployment import Deployment
from tests.broker.receivers import SECRET, Hooks, Mails, hooks, mails
from tests.scale import scaled
from tests.unit.endpoint_world import START, requested

SEED = 20270302
KILLS = scaled(4, 50)
EACH = 3
STEPS = ("effect", "done", "begin", "sent", "commit", "committed", "confirmed")


def registry(hooked: Hooks, mailed: Mails) -> Registry:
    """One agency with a webhook and a mailbox."""
    hook = {"channel": "webhook", "tier": "watch", "url": f"{hooked.address}/a", "secrets": ["env:HOOK_SECRET"]}
    endpoints = {"hook": hook, "desk": {"channel": "email", "tier": "watch", "to": "desk@cisa.example"}}
    relay = {"host": "127.0.0.1", "port": mailed.port, "security": "none", "sender": "herald@herald.example"}
    whole = {"version": 1, "agencies": {"cisa": {"name": "CISA", "endpoints": endpoints}}, "mail": relay}
    return Registry.model_validate_json(json.dumps(whole | {"allow_networks": ["127.0.0.0/8"]}))


async def ask(deployment: Deployment, numbers: range) -> None:
    """Asks for the alerts of these releases on both endpoints."""
    producer = deployment.connection.producer()
    await producer.start()
    try:
        for number in numbers:
            for endpoint in ("hook", "desk"):
                one = requested(number, 1, START).model_copy(update={"endpoint": endpoint})
                one = DeliveryRequested(
                    **dict(one) | {"delivery_id": f"{number:08d}-0000-5000-8000-{len(endpoint):012d}"}
                )
                event = one.stamped(cause=str(number), ordinal=len(endpoint), source="/services/notifier", time=START)
                topic = deployment.connection.topic("deliveries")
                await producer.send_and_wait(topic, encode(event), key=one.subject().encode())
    finally:
        await producer.stop()


@pytest.mark.timeout(900)
async def test_killed_between_effect_and_commit_nothing_is_forgotten_and_a_crash_repeats_at_most_what_was_begun(
    kafka: str, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    lives: list[tuple[list[str], list[str]]] = [([], [])]
    with hooks() as hooked, mails() as mailed:
        deployment = Deployment(
            kafka, "effects.", tmp_path, partitions=1, env={"HOOK_SECRET": SECRET, "HERALD_DATA": str(tmp_path)}
        )
        await deployment.prepare(registry(hooked, mailed))
        try:
            for kill in range(KILLS):
                step = STEPS[kill] if kill < 2 else chance.choice(STEPS)
                (hurt,) = deployment.start("deliveries", step=f"{step}:{chance.randint(1, 3)}:kill")
                await ask(deployment, range(kill * EACH, (kill + 1) * EACH))
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
