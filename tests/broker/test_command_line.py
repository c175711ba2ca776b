"""The command line against a running Herald, as people and CI use it: output, exit codes, and what is known."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.embedded.ports import free
from tests.broker.deployment import Deployment
from tests.broker.test_embedded import herald

RELEASE = """\
reference: {reference}
model: {{name: Model}}
capabilities: [cyber-offense]
trusted_partner_release_at: 2099-01-31T00:00:00Z
early_access: {{opens: {opens}}}
audience: {{mode: matching}}
"""


class Desk:
    """A running Herald, and a place for files."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "HERALD_KAFKA__BOOTSTRAP_SERVERS": kafka,
            "HERALD_KAFKA__TOPIC_PREFIX": "cli.",
            "HERALD_PARTITIONS": "2",
            "HERALD_DATA": str(folder),
        }

    def run(self, *arguments: str, code: int = 0) -> str:
        """Runs a command; its exit code must be `code`. Returns standard output."""
        done = herald(*arguments, **self.env)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """The output of a command with `--json`."""
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def release(self, reference: str, opens: str = "P14D") -> str:
        """A release file."""
        path = self.folder / f"{reference}.yaml"
        path.write_text(RELEASE.format(reference=reference, opens=opens))
        return str(path)


@pytest.fixture(scope="module")
def desk(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("cli")
    found = Desk(kafka, folder)
    registry = Path(__file__).resolve().parents[2] / "deploy" / "registry.yaml"
    (folder / "registry.yaml").write_text(registry.read_text())
    found.run("registry", "apply", str(folder / "registry.yaml"), code=2)  # what it shows wants a yes
    found.run("registry", "apply", str(folder / "registry.yaml"), "--yes")
    deployment = Deployment(kafka, "cli.", folder, partitions=2)
    deployment.start()
    try:
        asyncio.run(deployment.ready())
        yield found
    finally:
        deployment.stop()


def test_announce_waits_for_its_receipt_and_the_same_file_twice_is_a_no_op(desk: Desk) -> None:
    file = desk.release("twice")
    assert "twice: accepted (revision 1)" in desk.run("announce", file, "--lab", "aurora-labs")
    assert "twice: unchanged (revision 1)" in desk.run("announce", file, "--lab", "aurora-labs")


def test_warnings_are_shown_and_strict_makes_them_fail(desk: Desk) -> None:
    file = desk.release("strict", "P45D")
    assert "warning, opening_clamped" in desk.run("announce", file, "--lab", "aurora-labs", "--strict", code=3)
    desk.run("announce", file, "--lab", "aurora-labs")


def test_a_refusal_prints_its_reason_and_exits_with_3(desk: Desk) -> None:
    said = desk.run("withdraw", "never-announced", "--lab", "aurora-labs", code=3)
    assert "refused, unknown_release: reference: this release was never announced" in said
    desk.run("withdraw", "never-announced", "--lab", "aurora-labs", "--no-fail")


def test_a_file_that_cannot_be_used_exits_with_2_and_names_the_line(desk: Desk) -> None:
    file = desk.folder / "broken.yaml"
    file.write_text("reference: x\nmodle: {name: M}\n")
    done = herald("announce", str(file), "--lab", "aurora-labs", **desk.env)
    assert done.returncode == 2
    assert "modle: is unknown; did you mean model? (line 2)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_an_answer_it_says_what_is_known_and_exits_with_4(desk: Desk) -> None:
    dead = desk.env | {"HERALD_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free()}"}
    file = desk.release("nobody-there")
    done = herald("announce", file, "--lab", "aurora-labs", "--timeout", "2", **dead)
    assert done.returncode == 4
    assert "nothing was sent" in done.stdout
    assert herald("announce", file, "--lab", "aurora-labs", "--timeout", "2", "--no-fail", **dead).returncode == 0


def test_an_agency_reads_answers_and_is_answered(desk: Desk) -> None:
    desk.run("announce", desk.release("answered"), "--lab", "basalt-ai")
    alerts = desk.objects("alerts", "--agency", "cisa")
    alert = next(event for event in alerts if event["data"]["content"]["reference"] == "answered")
    short = alert["id"][:13]
    assert "accepted" in desk.run("ack", short, "--agency", "cisa", "--as", "participating", "--by", "watch officer")
    assert "unchanged" in desk.run("ack", short, "--agency", "cisa", "--as", "participating")
    desk.run("ack", short, "--agency", "dod", "--as", "received", code=2)  # no alert of dod begins so
    receipts = desk.objects("receipts", "--participant", "basalt-ai")
    assert "cisa" in [event["data"]["agency"] for event in receipts if "disclosure" in event["type"]]
    assert desk.objects("alerts", "--agency", "cisa", "--since", "PT1H") != []
    desk.run("alerts", "--agency", "cisa", "--since", "yesterday", code=2)


def test_windows_are_listed_as_they_stand(desk: Desk) -> None:
    desk.run("announce", desk.release("listed"), "--lab", "aurora-labs")
    desk.run("withdraw", "listed", "--lab", "aurora-labs")
    found = {window["statement"]["reference"]: window["status"] for window in desk.objects("windows")}
    assert found["listed"] == "withdrawn"


def test_route_says_who_would_be_told_and_sends_nothing(desk: Desk) -> None:
    before = len(desk.objects("receipts", "--participant", "aurora-labs"))
    routed = desk.objects("registry", "route", desk.release("r"), "--lab", "aurora-labs")
    told = {(one["agency"], one["kind"]) for one in routed}
    assert ("cisa", "scheduled") in told
    assert ("dod", "closed") in told
    assert len(desk.objects("receipts", "--participant", "aurora-labs")) == before


def test_a_registry_from_which_somebody_vanished_is_refused_and_offboarding_is_the_way(desk: Desk) -> None:
    desk.run("announce", desk.release("live"), "--lab", "aurora-labs")
    file = desk.folder / "registry.yaml"
    whole = file.read_text()
    start, end = whole.index("  treasury:"), whole.index("  cisa:")
    file.write_text(whole[:start] + whole[end:])
    done = herald("registry", "apply", str(file), "--yes", **desk.env)
    assert done.returncode == 2
    assert "herald offboard treasury" in done.stderr
    desk.run("offboard", "treasury", code=2)
    desk.run("offboard", "treasury", "--yes")
    desk.run("registry", "apply", str(file), "--yes")
    file.write_text(whole)
    assert "was offboarded" in herald("registry", "apply", str(file), "--yes", **desk.env).stderr
    for _ in range(50):
        kinds = [e["data"]["kind"] for e in desk.objects("alerts", "--agency", "treasury")]
        if "no-longer-addressed" in kinds:
            break
    assert kinds.count("no-longer-addressed") == kinds.count("scheduled") - kinds.count("withdrawn") >= 1
    assert [one["version"] for one in desk.objects("registry", "history")] == [1, 2]
    assert desk.objects("registry", "show")[0]["offboarded"].keys() == {"treasury"}


def test_a_change_that_discloses_a_live_window_says_so_first(desk: Desk) -> None:
    desk.run("announce", desk.release("disclosed"), "--lab", "aurora-labs")
    found = desk.objects("registry", "show")[0]
    kept = {name: found[name] for name in ("labs", "agencies", "capabilities", "policy")}
    kept["agencies"]["newcomer"] = {"name": "Newcomer"}
    (desk.folder / "more.yaml").write_text(json.dumps(kept))
    done = herald("registry", "apply", str(desk.folder / "more.yaml"), **desk.env)
    assert done.returncode == 2
    assert "would newly disclose aurora-labs/disclosed (scheduled) to newcomer" in done.stderr


def test_apply_refuses_a_secret_that_is_unknown_here_unless_told_that_it_stands_elsewhere(desk: Desk) -> None:
    found = desk.objects("registry", "show")[0]
    kept = {name: found[name] for name in ("labs", "agencies", "capabilities", "policy")}
    endpoint = {"channel": "webhook", "tier": "watch", "url": "https://desk.caisi.example/", "secrets": ["env:NOWHERE"]}
    kept["agencies"]["caisi"]["endpoints"] = {"desk": endpoint}
    (desk.folder / "endpoint.yaml").write_text(json.dumps(kept))
    refused = herald("registry", "apply", str(desk.folder / "endpoint.yaml"), "--yes", **desk.env)
    assert refused.returncode == 2
    assert "agencies.caisi.endpoints.desk.secrets.0: unknown secret: the variable NOWHERE is not set" in refused.stderr
    shown = herald("registry", "apply", str(desk.folder / "endpoint.yaml"), "--no-secrets", **desk.env)
    assert shown.returncode == 2
    assert "+ agencies.caisi.endpoints.desk: webhook for watch" in shown.stderr
    assert "say --yes" in shown.stderr


def test_dead_letters_are_listed_without_their_content(desk: Desk) -> None:
    assert desk.objects("dead-letters", "list") == []


def test_a_registry_so_old_that_retention_would_take_it_is_written_again_and_nobody_is_told_of_that(desk: Desk) -> None:
    found = desk.objects("registry", "show")[0]
    kept = {name: found[name] for name in ("labs", "agencies", "capabilities", "policy")}
    (desk.folder / "same.yaml").write_text(json.dumps(kept))
    told, now = len(desk.objects("alerts", "--agency", "dod")), datetime.now(UTC)
    for days, said in ((199, "stands"), (201, "is applied"), (201, "stands")):
        clock = {"STARTED_AT": now.isoformat(), "STARTS_FROM": (now + timedelta(days=days)).isoformat()}
        later = {f"HERALD_CLOCK__{name}": value for name, value in clock.items()}
        done = herald("registry", "apply", str(desk.folder / "same.yaml"), "--yes", **(desk.env | later))
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
        assert ("is repeated, before retention takes it" in done.stderr) == (said == "is applied")
    assert desk.objects("registry", "history")[-1] == {"version": found["version"] + 1, "changes": []}
    desk.run("announce", desk.release("after-that"), "--lab", "basalt-ai")
    for _ in range(50):
        if (alerts := desk.objects("alerts", "--agency", "dod"))[told:]:
            break
    assert [alert["data"]["content"]["reference"] for alert in alerts[told:]] == ["after-that"]
