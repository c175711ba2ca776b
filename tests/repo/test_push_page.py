"""The page on push endpoints shows what the code makes, and what it says of times is what the code keeps."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.delivery import PERMANENT, NoticeRequested
from schemas.endpoint import Webhook
from schemas.registry import Policy
from services.cli.main import command_line
from services.deliveries import schedule, webhook
from services.deliveries.chat_bodies import body
from services.deliveries.http import ATTEMPT_SECONDS, CONNECT_SECONDS
from services.deliveries.letter import Letter
from services.deliveries.message import written
from services.deliveries.verdict import by_status
from tests.deliveries.mail_letters import DUE, due, letter

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "push.md").read_text()
PLAIN = " ".join(PAGE.split())
LINK = "https://herald.example/acknowledge/RzE3bSt0b2tlbg"
UNSAID = {"MIME-Version", "Content-Type"}


def blocks(language: str) -> list[str]:
    """The examples in a language, as they stand."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return found


def told() -> Letter:
    """The alert that the page shows on three channels."""
    alert = due(DUE)
    return letter(alert, links={alert.alert_id: LINK})


def test_the_thin_webhook_is_what_is_sent() -> None:
    endpoint = Webhook(
        channel="webhook", tier="watch", url="https://desk.cisa.example/herald", content="thin", secrets=("env:S",)
    )
    assert json.loads(blocks("json")[1]) == webhook.body(endpoint, told())


def test_the_daily_line_is_what_is_sent() -> None:
    endpoint = Webhook(channel="webhook", tier="watch", url="https://desk.cisa.example/herald", secrets=("env:S",))
    (line, _) = (json.loads(each) for each in blocks("json"))
    notice = NoticeRequested.model_validate_json(json.dumps(line["data"]))
    at = datetime.fromisoformat(line["timestamp"])
    sent = Letter(notice.notice_id, "cisa", "CISA", "America/New_York", "desk", at, notice=notice)
    assert webhook.body(endpoint, sent) == line


def test_the_mail_is_what_is_sent() -> None:
    mail = written(told(), "desk@cisa.example", "herald@herald.example")
    head = [f"{name}: {value}" for name, value in mail.items() if name not in UNSAID]
    text = mail.get_body(("plain",))
    assert text is not None
    lines = [line.rstrip() for line in text.get_content().strip().splitlines()]
    assert blocks("text")[0].splitlines() == [*head, "", *lines]


def test_the_chat_message_is_what_is_sent() -> None:
    assert blocks("text")[1].strip() == body("slack", told())["text"]
    asked = body("ntfy", told(), "desk")
    escalated = letter(due(DUE, chase="escalation"))
    assert (asked["title"], asked["click"]) == (blocks("text")[1].splitlines()[0], LINK)
    assert (asked["priority"], body("ntfy", escalated, "desk")["priority"]) == (4, 5)


@pytest.mark.parametrize("number", range(3))
def test_herald_registry_check_takes_what_the_page_declares(number: int, tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text(blocks("yaml")[number])
    asked = ["registry", "check", str(tmp_path / "registry.yaml"), "--no-secrets", "--json"]
    done = CliRunner().invoke(command_line(), asked)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["endpoints"][0] == "cisa/desk"
    assert len(blocks("yaml")) == 3


def test_an_answer_means_what_the_page_says() -> None:
    (again,) = re.findall(r"^\| (429.*?), 5xx", PAGE, re.MULTILINE)
    retried = {int(each) for each in again.split(", ")} | set(range(500, 600))
    for status in range(200, 600):
        failure = by_status(status)
        expected = "taken" if status < 300 else "again" if status in retried else "never"
        assert expected == ("taken" if failure is None else "never" if failure in PERMANENT else "again"), status
    assert by_status(410) == "gone"


def test_times_are_those_that_are_kept() -> None:
    seconds = [int(each.total_seconds()) for each in schedule.RETRIES]
    said = [f"{n // 3600} h" if n >= 3600 else f"{n // 60} min" if n >= 60 else f"{n} s" for n in seconds]
    assert f"come after {', '.join(said[:-1])} and {said[-1]}, each up to a fifth later" in PLAIN
    assert schedule.JITTER == 0.2
    fallback = Policy().fallback_after.total_seconds() / 60
    assert f"none has taken an alert within {fallback:.0f} minutes" in PLAIN
    assert f"within {ATTEMPT_SECONDS:.0f} seconds ({CONNECT_SECONDS:.0f} to connect)" in PLAIN
    words = {5: "five", 10: "ten"}
    assert f"After {words[schedule.FAILURES_TO_OPEN]} failures in a row" in PLAIN
    assert f"After {words[schedule.DISABLED_AFTER.days]} days of failures" in PLAIN
    assert f"a burst of {words[schedule.BURST]}" in PLAIN
    probes = (schedule.FIRST_PROBE.total_seconds(), schedule.LONGEST_PROBE.total_seconds())
    assert (probes, schedule.LONGEST_RETRY_AFTER.total_seconds()) == ((60, 1800), 86400)
