"""`herald deliveries` on a real Kafka: what it shows of the topics, and what it writes for the service to read."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.partitioner import DefaultPartitioner
from typer.testing import CliRunner, Result

from schemas.delivery import (
    DeliveryRequested,
    DeliveryRetried,
    EndpointDisabled,
    EndpointPaused,
    EndpointResumed,
    NoticeRequested,
    NoticeSettled,
)
from schemas.envelope import Data, reader
from schemas.topics import DELIVERIES
from services.cli.main import command_line
from services.kernel.settings import SettingsError
from tests.broker.delivered import BEGAN, CONFIDENTIAL, FATES, HOOK, IDS, LETTERS, PARTITIONS, delivered, say
from tests.broker.deployment import Deployment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@dataclass(slots=True)
class Operator:
    """Runs the command, and looks at what it wrote."""

    deployment: Deployment

    async def run(self, *arguments: str, code: int = 0) -> str:
        """What it prints."""
        done = await self.invoke(*arguments)
        assert done.exit_code == code, (done.output, done.exception)
        assert CONFIDENTIAL not in done.output
        return done.stdout

    async def refused(self, *arguments: str) -> str:
        """The one line of what cannot be done: `main` makes exit code 2 of it."""
        done = await self.invoke(*arguments)
        assert isinstance(done.exception, SettingsError), done.output
        assert "\n" not in str(done.exception)
        return str(done.exception)

    async def invoke(self, *arguments: str) -> Result:
        """One run."""
        kafka = {"BOOTSTRAP_SERVERS": self.deployment.bootstrap_servers, "TOPIC_PREFIX": self.deployment.prefix}
        env = {f"HERALD_KAFKA__{name}": value for name, value in kafka.items()}
        return await asyncio.to_thread(lambda: CliRunner().invoke(command_line(), ["deliveries", *arguments], env=env))

    async def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """The same with `--json`."""
        return [json.loads(line) for line in (await self.run(*arguments, "--json")).splitlines()]

    async def wrote(self) -> list[Data]:
        """Everything that an operator asked for, as the service reads it; each where its key belongs."""
        found = []
        for record in await self.deployment.read("deliveries", PARTITIONS):
            event = reader(*DELIVERIES).validate_json(record.value, extra="ignore")
            every = list(range(PARTITIONS))
            assert record.partition == DefaultPartitioner()(record.key, every, every)
            assert record.key.decode() == event.subject == event.data.subject()
            if event.source == "/services/operator":
                found.append((record.timestamp, event.data))
        return [data for _, data in sorted(found, key=lambda one: one[0])]

    async def audited(self) -> list[tuple[str, str]]:
        """Every action in `audit`, and what it was about."""
        entries = [event["data"] for event in await self.deployment.events("audit")]
        return [(entry["action"], entry["target"]) for entry in entries]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """Somebody at a deployment with deliveries."""
    return Operator(await delivered(kafka, "hands.", tmp_path_factory.mktemp("hands")))


async def test_deliveries_are_listed_as_they_stand_by_agency_endpoint_and_status(operator: Operator) -> None:
    names = {delivery_id: name for name, delivery_id in IDS.items()}
    found = {names[one["delivery_id"]]: one for one in await operator.objects("list")}
    assert {name: (one["status"], one["attempts"]) for name, one in found.items()} == FATES
    assert datetime.fromisoformat(found["late"]["next_try"]) > datetime.now(UTC)
    assert found["got"]["next_try"] is None
    line = await operator.run("list", "--agency", "cisa", "--endpoint", "hook", "--status", "failing")
    assert line.split("  ")[:5] == [IDS["late"], "cisa/hook", "opened", "failing", "1 attempt"]
    assert await operator.run("list", "--endpoint", "desk") == ""
    assert "did you mean cisa?" in await operator.refused("list", "--agency", "cissa")
    assert "did you mean hook" in await operator.refused("list", "--endpoint", "hok")


async def test_one_is_shown_with_every_attempt_by_the_beginning_of_its_id(operator: Operator) -> None:
    (lost,) = await operator.objects("show", IDS["lost"][:13])
    assert [(o["outcome"], o["reason"], o["seconds"], o["answer"]) for o in lost["outcomes"]] == [
        ("abandoned", "gone", 0.1, "410")
    ]
    text = await operator.run("show", IDS["late"])
    assert "2026-03-01T12:00:01Z  failed  0.25 s  server-error  503" in text
    assert "status: failing" in text
    assert "no delivery begins with" in await operator.refused("show", "0000")


async def test_a_retry_asks_for_what_it_can_and_says_why_when_it_does_not(operator: Operator) -> None:
    before, noted = await operator.wrote(), await operator.audited()
    assert "took it at 2026-03-01T12:00:01Z" in await operator.run("retry", IDS["got"], code=3)
    assert f"{IDS['newer']} of the same release has followed" in await operator.run("retry", IDS["old"], code=3)
    assert (await operator.wrote(), await operator.audited()) == (before, noted)
    for arguments in ([IDS["late"]], [IDS["lost"]], [IDS["got"], "--again"]):
        assert "it is tried now" in await operator.run("retry", *arguments)
    late, lost, got = (await operator.wrote())[len(before) :]
    assert late == DeliveryRetried(**HOOK, delivery_id=IDS["late"])
    for name, again in (("lost", lost), ("got", got)):
        assert isinstance(again, DeliveryRequested)
        assert again == LETTERS[name].model_copy(update={"requested_at": again.requested_at})
        assert (await operator.objects("show", IDS[name]))[0]["status"] == "pending"
    assert (await operator.audited())[len(noted) :] == [
        ("delivery.retry", IDS[name]) for name in ("late", "lost", "got")
    ]


async def test_a_pause_has_an_end_within_thirty_days_and_is_ended_by_a_resume(operator: Operator) -> None:
    before, noted = await operator.wrote(), await operator.audited()
    for wrong in ([], ["--for", "8h", "--until", "2099-01-01T00:00:00Z"], ["--for", "31d"], ["--for", "soon"]):
        assert ("a pause" in (said := await operator.refused("pause", "cisa", *wrong))) or "a duration" in said
    assert "in the future" in await operator.refused("pause", "cisa", "--until", "2020-01-01T00:00:00Z")
    assert "did you mean hook" in await operator.refused("pause", "cisa/hok", "--for", "8h")
    assert "did you mean cisa?" in await operator.refused("resume", "cissa/hook")
    assert (await operator.wrote(), await operator.audited()) == (before, noted)
    paused = await operator.objects("pause", "cisa", "--for", "8h")
    assert {one["endpoint"] for one in paused} == {"hook", "desk", "hook-2"}
    (listed,) = [one for one in await operator.objects("list") if one["delivery_id"] == IDS["new"]]
    assert listed["next_try"] == listed["paused_until"] == paused[0]["until"]
    assert "once cisa/hook is not paused" in await operator.run("retry", IDS["new"])
    await operator.run("resume", "cisa/hook")
    (listed,) = [one for one in await operator.objects("list") if one["delivery_id"] == IDS["new"]]
    assert listed["paused_until"] is None
    *pauses, retried, resumed = (await operator.wrote())[len(before) :]
    assert {(p.endpoint, p.until.isoformat()) for p in pauses if isinstance(p, EndpointPaused)} == {
        (one["endpoint"], one["until"].replace("Z", "+00:00")) for one in paused
    }
    assert isinstance(retried, DeliveryRetried)
    assert resumed == EndpointResumed(**HOOK)
    assert [action for action, _ in (await operator.audited())[len(noted) :]] == [
        "endpoint.pause",
        "delivery.retry",
        "endpoint.resume",
    ]


async def test_where_nothing_is_tried_any_more_a_resume_comes_first(operator: Operator) -> None:
    disabled = EndpointDisabled(**HOOK, channel="webhook", at=BEGAN, since=BEGAN)
    await say(operator.deployment, [disabled])
    before = await operator.wrote()
    said = await operator.run("retry", IDS["lost"], "--again", code=3)
    assert "`herald deliveries resume cisa/hook` comes first" in said
    assert await operator.wrote() == before
    await operator.run("resume", "cisa/hook")
    assert "it is tried now" in await operator.run("retry", IDS["lost"], "--again")


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [(None, 0, "cisa/desk: taken, in 0.20 s: 250 queued"), ("timeout", 1, "cisa/desk: not taken, timeout, in 0.20 s")],
)
async def test_a_test_says_whether_the_endpoint_took_it(
    operator: Operator, failure: Any, code: int, words: str
) -> None:
    known = {one.notice_id for one in await operator.wrote() if isinstance(one, NoticeRequested)}
    said, asked = await asyncio.gather(
        operator.run("test", "cisa/desk", "--timeout", "20", code=code), answer(operator, known, failure)
    )
    assert words in said
    assert (asked.notice, asked.about, asked.agency, asked.endpoint) == ("test", "desk", "cisa", "desk")
    assert (await operator.audited())[-1] == ("endpoint.test", "cisa/desk")


async def test_a_test_that_nobody_answers_says_so_and_one_endpoint_must_be_named(operator: Operator) -> None:
    assert "no answer within 0.1 s" in await operator.run("test", "cisa/hook", "--timeout", "0.1", code=4)
    assert "name one endpoint" in await operator.refused("test", "cisa")


async def answer(operator: Operator, known: set[str], failure: Any) -> NoticeRequested:
    """Settles the next notice, after one that is another's."""
    while True:
        for one in await operator.wrote():
            if isinstance(one, NoticeRequested) and one.notice_id not in known:
                where = {"agency": one.agency, "endpoint": one.endpoint, "channel": "email", "notice": "test"}
                came = {"at": BEGAN, "seconds": 0.2, "failure": failure, "answer": None if failure else "250 queued"}
                mine, other = ({**where, **came, "notice_id": i} for i in (one.notice_id, IDS["new"]))
                other["failure"] = "tls"
                await say(operator.deployment, [NoticeSettled(**other), NoticeSettled(**mine)])
                return one
        await asyncio.sleep(0.05)
