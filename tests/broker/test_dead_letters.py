"""`herald dead-letters` on a real Kafka: given back after a mend, ids and order stay, and no key goes back in time."""

import asyncio
import json
from pathlib import Path
from typing import Any

from schemas.envelope import derived_id
from tests.broker import clocks
from tests.broker.clocks import DAY_A_SECOND
from tests.broker.deployment import Deployment
from tests.broker.flow import registry
from tests.broker.test_deployment import receipts, send, statement
from tests.broker.test_embedded import herald
from tests.chaos.test_circumstances import OPENS_ON_13_MARCH, moves


class Operator:
    """Runs `herald dead-letters` against a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        kafka = {"BOOTSTRAP_SERVERS": deployment.bootstrap_servers, "TOPIC_PREFIX": deployment.prefix}
        self._env = {f"HERALD_KAFKA__{name}": value for name, value in kafka.items()}

    async def run(self, *arguments: str, code: int = 0) -> str:
        """What it prints."""
        done = await asyncio.to_thread(lambda: herald("dead-letters", *arguments, **self._env))
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout

    async def letters(self, *arguments: str) -> list[dict[str, Any]]:
        """What `list` shows."""
        return [json.loads(line) for line in (await self.run("list", "--json", *arguments)).splitlines()]


async def test_a_replay_keeps_ids_and_order_and_refuses_what_would_go_back_in_time(kafka: str, tmp_path: Path) -> None:
    deployment = Deployment(kafka, "replay.", tmp_path, partitions=2)
    operator = Operator(deployment)
    try:
        await deployment.prepare(registry())
        deployment.start("gateway", "announcements")
        (windows,) = deployment.start("windows", poison="record:poison")
        said = [
            ("lost", "poison 1"),
            ("lost", "poison 2"),
            ("healed", "poison 3"),
            ("healed", "well"),
            ("gone", "poison 4"),
        ]
        values = [statement(ref, f"e-{n}", handling=text) for n, (ref, text) in enumerate(said)]
        await send(deployment, "releases.lab-a", *values)
        await deployment.settled("windows", 1, 2)
        letters = await waiting(operator, 3)
        assert {letter["reason"] for letter in letters} == {"undecidable"}
        assert len(await operator.letters("--all")) == 4
        still = await operator.run("replay", letters[0]["id"], code=1)  # nothing has been mended yet
        assert "could not decide it again" in still
        letters = await waiting(operator, 3)

        windows.kill()
        deployment.start("windows")
        announced = {
            e["data"]["announcement"]["statement"]["handling"]: e for e in await read(deployment, "announcements")
        }
        by_text = {}
        for letter in await operator.letters("--all"):
            raw = json.loads(await operator.run("show", letter["id"], "--raw"))
            by_text[raw["data"]["announcement"]["statement"]["handling"]] = letter
        assert "Traceback" in await operator.run("show", by_text["poison 1"]["id"])
        assert "state it anew" in await operator.run("replay", by_text["poison 3"]["id"], code=3)
        await operator.run("drop", by_text["poison 4"]["id"], code=2)  # nobody is asked here: --yes it must be
        assert "dropped" in await operator.run("drop", by_text["poison 4"]["id"], "--yes")
        assert (await operator.run("replay", "--all")).count("decided") == 2
        found = await read(deployment, "windows")
        lost = [e for e in found if e["data"]["window"]["statement"]["reference"] == "lost"]
        assert [e["data"]["window"]["statement"]["handling"] for e in lost] == ["poison 1", "poison 2"]
        for event in lost:
            cause = derived_id("announcements", announced[event["data"]["window"]["statement"]["handling"]]["id"])
            assert event["id"] == derived_id(cause, event["type"], "0")
        assert await operator.letters() == []
        for letter in (by_text["poison 1"], by_text["poison 4"]):
            await operator.run("replay", letter["id"], code=3)
        assert len(await read(deployment, "windows")) == 3
        await operator.run("show", "9-99", code=2)
    finally:
        deployment.stop()


async def test_a_timer_that_was_left_out_fires_when_it_is_given_back(kafka: str, tmp_path: Path) -> None:
    deployment = Deployment(kafka, "replayed.", tmp_path, partitions=1, env=clocks.now())
    operator = Operator(deployment)
    try:
        await deployment.prepare(registry())
        deployment.start("gateway", "announcements")
        await send(deployment, "releases.lab-a", statement("poison", "e-1", **OPENS_ON_13_MARCH))
        await receipts(deployment, "lab-a", "e-1")
        deployment.env |= clocks.now(rate=20 * DAY_A_SECOND)
        (windows,) = deployment.start("windows", poison="timer:poison")
        (letter,) = await waiting(operator, 1)
        await operator.run("drop", letter["id"], "--yes", code=3)
        windows.kill()
        deployment.start("windows")
        assert "decided" in await operator.run("replay", letter["id"])
        found = await deployment.settled("windows", 4)
        assert moves(found, "poison") == ["scheduled", "opened", "closing-soon", "closed"]
        assert await operator.letters() == []
    finally:
        deployment.stop()


async def read(deployment: Deployment, name: str) -> list[dict[str, Any]]:
    """The events of an internal topic."""
    return await deployment.events(name, deployment.partitions)


async def waiting(operator: Operator, count: int) -> list[dict[str, Any]]:
    """The open letters, once there are so many."""
    for _ in range(300):
        if len(found := await operator.letters()) == count:
            return found
        await asyncio.sleep(0.2)
    raise AssertionError(found)
