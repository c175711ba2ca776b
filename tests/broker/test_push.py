"""The receivers of the page on push endpoints, run as they stand there: they verify, drop repeats, and acknowledge."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from schemas.acknowledgement import AcknowledgementRecorded
from schemas.alert import AlertIssued
from schemas.delivery import NoticeRequested, delivery_id
from schemas.endpoint import Webhook
from schemas.envelope import derived_id
from schemas.registry import Registry
from services.deliveries.http import Client
from services.deliveries.letter import Letter
from services.deliveries.webhook import send
from services.embedded.lifeline import tied
from services.embedded.ports import free
from tests.broker.doorway import Door, opened
from tests.broker.flow import release
from tests.broker.telling import alert_of, told
from tests.deliveries.test_webhook import STANDARD_WEBHOOKS
from tests.npm import package
from tests.scale import long_run
from tests.simulation.world import NAMESPACE

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "push.md").read_text()
LOOPBACK = ("127.0.0.0/8",)
DELIVERY = "5b1f0c9e-0000-5000-8000-000000000000"
AGENCIES = {"Python": "cisa", "JavaScript": "caisi", "Go": "treasury"}
"""Whose receiver is written in which language."""

FILES = {"Python": ("python", "receiver.py"), "JavaScript": ("js", "receiver.mjs"), "Go": ("go", "main.go")}
QUICK_GO = {"CGO_ENABLED": "0", "GOFLAGS": "-gcflags=all=-N -gcflags=all=-l"}
"""Without optimisation a first build takes half as long."""


def block(language: str, part: str = "") -> str:
    """The page's one example in a language that holds this."""
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (found,) = [each for each in blocks if part in each]
    return found


def commands(language: str) -> list[str]:
    """The commands with which the page has an example run, in order."""
    (line,) = re.findall(rf"^\*\*{language}\*\*(.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    return [each for each in re.findall(r"`([^`]+)`", line) if " " in each]


def prepare(language: str, folder: Path) -> None:
    """Writes an example's file, and does what the page says before it is run. Skips where this machine cannot."""
    folder.mkdir()
    fence, file = FILES[language]
    (folder / file).write_text(block(fence))
    if language == "JavaScript":
        (folder / "node_modules").symlink_to(package(*STANDARD_WEBHOOKS) / "node_modules")
    if language == "Go":
        if shutil.which("go") is None:
            pytest.skip("Go is not here: the page's receiver in Go is not run")
        for command in commands("Go")[:-1]:
            done = subprocess.run(["/bin/bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"Go does not get what the page's receiver needs: {command}: {done.stderr[-200:]}")


@dataclass(slots=True)
class Receiver:
    """An example that runs: where it is told, and the lines that it has printed."""

    language: str
    address: str
    secrets: Path
    process: Process
    lines: list[str] = field(default_factory=list)

    @property
    def agency(self) -> str:
        """Whose it is."""
        return AGENCIES[self.language]

    async def prints(self, alert_id: str) -> None:
        """Waits until it has printed that."""
        assert self.process.stdout is not None
        while not any(alert_id in line for line in self.lines):
            line = await self.process.stdout.readline()
            assert line, f"the receiver in {self.language} has ended"
            self.lines.append(line.decode().strip())

    async def answers(self, letter: Letter, *secrets: str) -> str:
        """What it answers to an attempt of Herald's own that is signed with these secrets."""
        refs = tuple(f"file:{self.secrets / name}" for name in secrets)
        client = Client(LOOPBACK)
        endpoint = Webhook(channel="webhook", tier="watch", url=self.address, secrets=refs)
        attempt = await send(endpoint, letter, client)
        await client.aclose()
        return f"{attempt.failure or 'taken'}: {attempt.answer or ''}"[:16].strip()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with three secrets. The registry names the old and the new one; receivers know the new one."""
    folder = tmp_path_factory.mktemp("secrets")
    for number, name in enumerate(("old", "new", "wrong")):
        (folder / name).write_text("whsec_" + b64encode(bytes([number]) * 32).decode())
    return folder


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Where each receiver listens."""
    return {language: free() for language in AGENCIES}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(
    kafka: str, tmp_path_factory: pytest.TempPathFactory, secrets: Path, ports: dict[str, int]
) -> AsyncIterator[Door]:
    """One deployment for the tests of this file, deliveries among it."""
    hook = {"channel": "webhook", "tier": "watch", "secrets": [f"file:{secrets / name}" for name in ("old", "new")]}
    named = {
        agency: {"name": agency, "endpoints": {"desk": hook | {"url": f"http://127.0.0.1:{ports[language]}/herald"}}}
        for language, agency in AGENCIES.items()
    }
    said = {"version": 1, "namespace": NAMESPACE, "labs": {"lab-a": {"name": "Lab A"}}, "agencies": named}
    registry = Registry.model_validate_json(json.dumps(said | {"allow_networks": LOOPBACK}))
    folder = tmp_path_factory.mktemp("pushed")
    async with opened(kafka, "pushed.", folder, registry, ("lab-a", *AGENCIES.values())) as door:
        await door.deployment.ready(*door.deployment.start("deliveries"))
        yield door


RUN = [language if language != "Go" else pytest.param(language, marks=long_run) for language in AGENCIES]
"""Go compiles its whole library at first: half a minute of two cores."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=RUN)
async def receiver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int], secrets: Path
) -> AsyncIterator[Receiver]:
    """An example as a reader runs it: only addresses are put in."""
    language, folder = request.param, tmp_path_factory.mktemp("receiver") / "own"
    await asyncio.to_thread(prepare, language, folder)
    door: Door = request.getfixturevalue("door")
    (folder / "token").write_text(f"{door.tokens[AGENCIES[language]]}\n")
    (folder / "secret").write_text(f"{(secrets / 'new').read_text()}\n")
    exports = (
        block("sh", "export ").replace("https://herald.example", door.address).replace("8080", str(ports[language]))
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *tied(["/bin/bash", "-ec", f"{exports}exec {commands(language)[-1]}"]),
        cwd=folder,
        env=os.environ | QUICK_GO | {"PATH": path, "PYTHONPATH": str(ROOT)},
        stdout=PIPE,
        start_new_session=True,
    )
    try:
        found = Receiver(language, f"http://127.0.0.1:{ports[language]}/herald", secrets, process)
        await listening(ports[language], process)
        yield found
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def listening(port: int, process: Process) -> None:
    """Waits until somebody listens there."""
    while True:
        assert process.returncode is None, "the receiver has ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def acknowledged(door: Door, agency: str, alert_id: str) -> dict[str, Any]:
    """The answer that stands, once there is one."""
    while True:
        for event in await door.deployment.events("acknowledgements", 2):
            data: dict[str, Any] = event["data"]
            if event["type"] == AcknowledgementRecorded.type and (data["agency"], data["alert_id"]) == (
                agency,
                alert_id,
            ):
                return data
        await asyncio.sleep(0.1)


def only(agency: str) -> dict[str, Any]:
    """Whom a release is for: whose receiver does not run yet is told nothing, and has nothing to catch up with."""
    return {"mode": "listed", "agencies": [agency]}


def letter(letter_id: str, *alerts: AlertIssued, at: timedelta = timedelta(0), **more: Any) -> Letter:
    """As deliveries writes it, now or at another time."""
    return Letter(letter_id, "cisa", "cisa", "UTC", "desk", datetime.now(UTC) + at, alerts, **more)


async def test_a_receiver_of_the_page_is_told_once_acknowledges_and_lets_nobody_else_in(
    door: Door, receiver: Receiver
) -> None:
    agency, language = receiver.agency, receiver.language
    first = await told(door, agency, f"{language}-1", audience=only(agency))
    await receiver.prints(first["id"])
    assert (await acknowledged(door, agency, first["id"]))["disposition"] == "received"
    moved = release(f"{language}-1", trusted_partner_release_at="2099-02-28T00:00:00Z", audience=only(agency))
    await door.post("lab-a", "/v1/releases?wait=20", json=moved)
    second = await alert_of(door, agency, first["data"]["release_id"], "rescheduled")
    await receiver.prints(second["id"])

    older, newer = (AlertIssued.model_validate_json(json.dumps(one["data"])) for one in (first, second))
    for minutes in (-6, 6):
        stale = letter("fresh-id", newer, at=timedelta(minutes=minutes))
        assert await receiver.answers(stale, "new") == "refused: HTTP 401"[:16], minutes
    assert await receiver.answers(letter("fresh-id", newer), "wrong", "old") == "refused: HTTP 401"[:16]
    now = str(int(datetime.now(UTC).timestamp()))
    for headers in (
        {},
        {"webhook-id": "fresh-id", "webhook-timestamp": "soon", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "fresh-id", "webhook-timestamp": now, "webhook-signature": "v1"},
        {"webhook-id": "fresh-id", "webhook-timestamp": now, "webhook-signature": "v1,AAAA"},
    ):
        async with httpx.AsyncClient() as client:
            assert (await client.post(receiver.address, content=b"\xff{", headers=headers)).status_code == 401

    ahead = newer.model_copy(update={"sequence": newer.sequence + 1})  # its id alone says that it is a repeat
    for repeat in (newer, ahead):
        assert await receiver.answers(letter(newer.alert_id, repeat), "old", "new") == "taken: HTTP 204"
    notice = NoticeRequested(
        agency=agency,
        endpoint="desk",
        notice_id=derived_id("n"),
        notice="test",
        about="desk",
        requested_at=newer.issued_at,
    )
    assert await receiver.answers(letter("a-notice", notice=notice), "new") == "taken: HTTP 204"
    other = newer.model_copy(update={"alert_id": derived_id("a"), "release_id": derived_id("r")})
    assert await receiver.answers(letter("a-digest", older, other), "new") == "taken: HTTP 204"
    assert await receiver.answers(letter("a-digest", older, other), "new") == "taken: HTTP 204"
    last = await told(door, agency, f"{language}-2", audience=only(agency))
    await receiver.prints(last["id"])

    late = [older.alert_id] if language == "Go" else []  # as the page says
    came = [first["id"], second["id"], *late, other.alert_id, last["id"]]
    assert [line.split()[-1] for line in receiver.lines] == came
    assert receiver.lines[0].startswith("TLP:AMBER+STRICT scheduled ")
    for alert_id in (second["id"], last["id"]):
        await acknowledged(door, agency, alert_id)
    assert sorted(await answers(door, agency, len(came))) == sorted(came)


async def answers(door: Door, agency: str, count: int) -> list[str]:
    """Which alerts an agency has answered, once it has so many."""
    while True:
        found = [event["data"]["alert_id"] for event in await door.deployment.events(f"acks.{agency}")]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("receiver", ["Python"], indirect=True)
async def test_an_agency_sees_its_deliveries_and_has_one_sent_again(
    door: Door, receiver: Receiver, tmp_path: Path
) -> None:
    alert = await told(door, receiver.agency, "again", audience=only(receiver.agency))
    await receiver.prints(alert["id"])
    (tmp_path / "token").write_text(f"{door.tokens[receiver.agency]}\n")
    delivery = delivery_id(alert["id"], receiver.agency, "desk")
    lines = block("sh", "/v1/deliveries").strip().splitlines()
    expected = ('"deliveries":[]', f'"alert_id":"{alert["id"]}"', f'"delivery_url":"/v1/deliveries/{delivery}"')
    assert len(lines) == len(expected)
    for line, part in zip(lines, expected, strict=True):
        command = line.replace("https://herald.example", door.address).replace(DELIVERY, delivery)
        process = await asyncio.create_subprocess_exec(
            "/bin/bash", "-ec", command, cwd=tmp_path, stdout=PIPE, stderr=PIPE
        )
        out, _ = await process.communicate()
        assert part in out.decode(), (command, out)
    while True:
        shown = (await door.get(receiver.agency, f"/v1/deliveries/{delivery}")).json()
        if [one["outcome"] for one in shown["outcomes"]] == ["taken", "taken"]:
            break
        await asyncio.sleep(0.05)
    later = await told(door, receiver.agency, "after-it", audience=only(receiver.agency))
    await receiver.prints(later["id"])
    assert [alert["id"] in line for line in receiver.lines].count(True) == 1
