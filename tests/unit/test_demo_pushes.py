"""The demo's account of what was pushed: what is lost, comes twice or to the wrong place is said, and counts."""

from typing import Any

import pytest

from schemas.endpoint import Channel, Email, Webhook
from schemas.registry import Agency
from services.cli.demo.findings import Findings
from services.cli.demo.pushed import Pushed, compare, due

CISA = Agency(
    name="CISA",
    tiers=("watch", "lead"),
    endpoints={
        "desk": Webhook(channel="webhook", tier="watch", url="https://cisa.example/a", secrets=("env:A",)),
        "lead": Webhook(channel="webhook", tier="lead", url="https://cisa.example/b", secrets=("env:B",)),
        "opened": Email(channel="email", tier="watch", to="desk@cisa.example", kinds=("opened",)),
    },
)
DOOR = "https://127.0.0.1:8443"


def alert(alert_id: str, kind: str = "scheduled", **about: Any) -> dict[str, Any]:
    """What stands on the agency's topic."""
    return {"alert_id": alert_id, "kind": kind, "short_notice": False, **about}


def came(endpoint: str, *alerts: str, channel: Channel = "webhook", **about: Any) -> Pushed:
    """A message as it came to the agency."""
    return Pushed("cisa", endpoint, channel, alerts, **about)


TOLD = [
    alert("1", tier="watch", asks="received"),
    alert("2", tier="watch", chase="reminder", asks="received"),
    alert("3", tier="lead", chase="escalation", asks="received"),
    alert("4", "opened"),
]
WHOLE = [
    came("desk", "1"),
    came("desk", "2"),
    came("opened", "2", channel="email"),
    came("lead", "3"),
    came("desk", "4"),
    came("opened", "4", channel="email"),
]
"""An endpoint that takes openings alone still has each reminder for its tier."""


def found(messages: list[Pushed], *outcomes: dict[str, Any], door: str = "") -> Findings:
    """What the account says."""
    return compare({"cisa": CISA}, {"cisa": TOLD}, messages, outcomes, door)


def test_an_endpoint_is_due_what_is_for_its_tier_of_the_kinds_that_it_takes() -> None:
    wanted = {name: list(alerts) for name, alerts in due(CISA, TOLD).items()}
    assert wanted == {"desk": ["1", "2", "4"], "lead": ["3"], "opened": ["2", "4"]}


def test_each_alert_once_is_a_line_a_channel_and_the_exit_code_0() -> None:
    whole = found(WHOLE)
    assert whole.summary == {"webhook cisa": "4 of 4, each once", "e-mail cisa": "2 of 2, each once"}
    assert (whole.differences, whole.exit_code) == ([], 0)


def test_several_alerts_in_one_message_count_each() -> None:
    assert found([came("desk", "1", "2", "4"), *(one for one in WHOLE if one.endpoint != "desk")]).exit_code == 0


@pytest.mark.parametrize(
    ("messages", "line", "said"),
    [
        (WHOLE[1:], "3 of 4, 1 lost", "desk: alert 1 was due and did not come: no word of why"),
        ([*WHOLE, came("desk", "1")], "4 of 4, 1 repeated", "desk: alert 1 came 2 times"),
        ([*WHOLE, came("lead", "1")], "4 of 4, 1 not due", "lead: alert 1 came and was not due"),
        ([*WHOLE, came("desk", "9")], "4 of 4, 1 not due", "desk: alert 9 came and was not due"),
        ([*WHOLE, came("desk", fault="its signature does not hold")], "4 of 4, 1 faulty", "desk: its signature does"),
        ([came("desk", "9"), *WHOLE[1:]], "3 of 4, 1 lost, 1 not due", "desk: alert 1 was due and did not come"),
    ],
)
def test_a_lost_or_repeated_webhook_is_said_and_the_exit_code_is_1(
    messages: list[Pushed], line: str, said: str
) -> None:
    wrong = found(messages)
    assert wrong.summary == {"webhook cisa": line, "e-mail cisa": "2 of 2, each once"}
    assert wrong.differences[0].startswith(f"webhook cisa/{said}")
    assert wrong.exit_code == 1


def test_a_superseded_delivery_is_lost_and_not_taken_off_what_was_due() -> None:
    outcome = {"agency": "cisa", "endpoint": "desk", "alert_id": "1", "reason": "superseded"}
    wrong = found(WHOLE[1:], {**outcome, "reason": "timeout"}, outcome, {"agency": "cisa", "endpoint": "desk"})
    assert wrong.summary["webhook cisa"] == "3 of 4, 1 lost"
    assert wrong.differences == ["webhook cisa/desk: alert 1 was due and did not come: superseded"]


def test_where_there_is_a_door_what_asks_for_an_answer_comes_with_a_link_to_it() -> None:
    linked = [came(one.endpoint, *one.alerts, channel=one.channel, link=f"{DOOR}/acknowledge/x") for one in WHOLE]
    assert found([*linked[:-1], WHOLE[-1]], door=DOOR).exit_code == 0
    for other in ("", "http://127.0.0.1:8443/acknowledge/x"):
        wrong = found([came("desk", "1", link=other), *linked[1:]], door=DOOR)
        assert wrong.summary["webhook cisa"] == "4 of 4, 1 without link"
        assert wrong.differences == [f"webhook cisa/desk: alert 1 came without a link to {DOOR}"]
