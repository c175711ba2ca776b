"""A chat gets a pointer in its own form, with nothing that a lab has written; its answer decides."""

import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given

from schemas.alert import VOLUNTARY
from schemas.delivery import Failure
from schemas.endpoint import Chat, ChatChannel
from schemas.values import rfc3339
from services.deliveries.chat import send
from services.deliveries.chat_bodies import body
from services.deliveries.http import Client
from services.deliveries.letter import Attempt, Letter
from tests.deliveries.hostile import HOSTILE
from tests.deliveries.letters import LINK, RELEASED, alert, letter, notice
from tests.deliveries.servers import answering, hanging, serving

CHANNELS: tuple[ChatChannel, ...] = get_args(ChatChannel)
each_channel = pytest.mark.parametrize("channel", CHANNELS)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    opened = Client(("127.0.0.0/8",))
    yield opened
    await opened.aclose()


def chat(channel: ChatChannel, **fields: Any) -> Chat:
    return Chat.model_validate({"channel": channel, "tier": "watch", "url": "env:CHAT_URL", **fields})


def plain(channel: ChatChannel, told: Letter) -> str:
    """What a reader sees of a message, in lines."""
    shown = body(channel, told, "desk")
    if channel == "teams":
        (attachment,) = shown["attachments"]
        lines = []
        for block in attachment["content"]["body"]:
            lines += [run["text"] for run in block.get("inlines", ())]
            lines += [f"{action['title']}: {action['url']}" for action in block.get("actions", ())]
        return "\n".join(lines)
    if channel == "ntfy":
        return f"{shown['title']}\n{shown['message']}"
    text: str = shown["text"]
    return re.sub(r"\\(.)", r"\1", text) if channel == "mattermost" else text


@each_channel
def test_it_says_what_and_until_when_and_where_to_answer_and_that_all_is_voluntary(channel: ChatChannel) -> None:
    told = letter()
    lines = plain(channel, told).splitlines()
    assert lines[0] == "Early access is open [TLP:AMBER+STRICT]"
    assert "Answer by 2027-03-01 19:00 UTC (2027-03-01 14:00 America/New York)" in lines
    assert f"Alert {told.alerts[0].alert_id}" in lines
    assert "Kind opened" in lines
    assert f"Read it and answer: {LINK}1" in lines
    assert VOLUNTARY in lines


@each_channel
def test_it_says_nothing_of_lab_model_reference_or_dates(channel: ChatChannel) -> None:
    shown = json.dumps(body(channel, letter(alert(tlp="TLP:CLEAR")), "desk"))
    for told in ("alo", "urora", rfc3339(RELEASED)[:10], "_names_", "script"):
        assert told not in shown


@each_channel
def test_an_exercise_says_so_first(channel: ChatChannel) -> None:
    assert plain(channel, letter(alert(exercise=True))).startswith("EXERCISE: ")
    assert "EXERCISE" not in plain(channel, letter())


@each_channel
def test_a_reminder_and_an_escalation_say_so(channel: ChatChannel) -> None:
    for chase, begin in (("reminder", "Reminder: "), ("escalation", "Not answered by others: ")):
        chased = alert().model_copy(update={"chase": chase})
        assert plain(channel, letter(chased)).startswith(begin)


@each_channel
def test_without_a_public_address_there_is_no_link(channel: ChatChannel) -> None:
    assert "http" not in plain(channel, letter(links=False))


@each_channel
def test_where_nobody_is_asked_no_time_is_said(channel: ChatChannel) -> None:
    assert "Answer by" not in plain(channel, letter(alert(answer=False)))


@each_channel
def test_notices_say_which_endpoint_they_are_about(channel: ChatChannel) -> None:
    assert plain(channel, notice("test")).splitlines()[0] == "Test: the endpoint desk has been reached"
    assert plain(channel, notice("disabled")).splitlines()[0] == "The endpoint desk is disabled"


@each_channel
def test_several_are_one_message_each_with_its_link(channel: ChatChannel) -> None:
    text = plain(channel, letter(alert(1), alert(2, kind="withdrawn", exercise=True)))
    assert text.startswith("2 alerts have waited")
    assert "EXERCISE: Early access has been withdrawn" in text
    assert f"{LINK}1" in text
    assert f"{LINK}2" in text


@each_channel
def test_more_than_a_chat_takes_are_counted(channel: ChatChannel) -> None:
    shown = body(channel, letter(*(alert(number) for number in range(1, 500))), "desk")
    text = plain(channel, letter(*(alert(number) for number in range(1, 500))))
    assert len(json.dumps(shown)) < {"slack": 40_000, "teams": 28_000, "ntfy": 4_096 + 500}.get(channel, 32_000)
    named = len(set(re.findall(r"Alert [0-9a-f-]{36}", text)))
    assert named > 3
    assert f"… and {499 - named} more" in text
    assert text.rstrip().endswith(VOLUNTARY)


def test_a_zone_that_this_machine_does_not_know_leaves_utc() -> None:
    told = replace(letter(), time_zone="Nowhere/At_all")
    assert "Answer by 2027-03-01 19:00 UTC\n" in plain("slack", told)


def test_the_agencys_time_follows_its_daylight_saving() -> None:
    late = alert()
    summer = tuple(each.model_copy(update={"due_at": each.due_at + timedelta(days=30)}) for each in late.answer_by)
    text = plain("slack", letter(late.model_copy(update={"answer_by": summer})))
    assert "2027-03-31 19:00 UTC (2027-03-31 15:00 America/New York)" in text


def test_slack_is_told_neither_to_format_nor_to_look_at_the_link() -> None:
    shown = body("slack", letter())
    assert (shown["mrkdwn"], shown["unfurl_links"], shown["unfurl_media"]) == (False, False, False)


def test_mattermost_sees_no_markup_outside_the_link() -> None:
    text: str = body("mattermost", letter(alert(exercise=True)))["text"]
    outside = re.sub(r"https://\S+|\\[\\`*_{}\[\]()#+!|~<>@:-]", "", text)
    assert not re.search(r"[`*_{}\[\]()#+!|~<>@-]", outside)


def test_teams_gets_a_card_whose_texts_know_no_markup() -> None:
    shown = body("teams", letter())
    assert shown["type"] == "message"
    card = shown["attachments"][0]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert {block["type"] for block in card["content"]["body"]} == {"RichTextBlock", "ActionSet"}


@pytest.mark.parametrize(("chase", "answer", "priority"), [(None, False, 3), (None, True, 4), ("escalation", True, 5)])
def test_ntfy_rings_louder_for_what_asks_and_for_what_nobody_has_answered(
    chase: str | None, answer: bool, priority: int
) -> None:
    shown = body("ntfy", letter(alert(answer=answer).model_copy(update={"chase": chase})), "desk")
    assert shown["priority"] == priority
    assert "markdown" not in shown


@each_channel
def test_a_link_ends_where_it_ends_in_every_markup(channel: ChatChannel) -> None:
    told = letter()
    odd = replace(told, links={told.letter_id: "https://herald.example/a/b>c|d)e f\r\ng"})
    assert "https://herald.example/a/b%3Ec%7Cd%29e%20f%0D%0Ag" in plain(channel, odd)


@given(HOSTILE)
def test_a_message_is_the_same_whatever_a_lab_has_written(text: str) -> None:
    for channel in CHANNELS:
        assert body(channel, letter(alert(text=text)), "desk") == body(channel, letter(alert()), "desk")


@each_channel
async def test_it_is_posted_as_json_to_the_address_that_the_secret_holds(
    client: Client, channel: ChatChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answering(200, b"ok")) as server:
        for path in ("/first", "/second"):
            monkeypatch.setenv("CHAT_URL", server.url(path))
            assert (await send(chat(channel), letter(), client)).failure is None
        assert all(got.headers["content-type"] == "application/json" for got in server.got)
        assert all("authorization" not in got.headers for got in server.got)
        topics = [json.loads(got.body).get("topic") for got in server.got]
        if channel == "ntfy":
            assert ([got.path for got in server.got], topics) == (["/", "/"], ["first", "second"])
        else:
            assert ([got.path for got in server.got], topics) == (["/first", "/second"], [None, None])


async def test_ntfy_gets_its_token(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(200, b"{}", "application/json")) as server:
        monkeypatch.setenv("CHAT_URL", server.url("/desk"))
        monkeypatch.setenv("NTFY_TOKEN", "tk_4711")
        await send(chat("ntfy", token="env:NTFY_TOKEN"), letter(), client)
        assert server.got[0].headers["authorization"] == "Bearer tk_4711"


@pytest.mark.parametrize(
    ("channel", "status", "answer", "failure"),
    [
        ("slack", 200, "ok", None),
        ("slack", 400, "invalid_payload", "refused"),
        ("slack", 403, "action_prohibited", "refused"),
        ("slack", 404, "channel_not_found", "refused"),
        ("slack", 410, "channel_is_archived", "gone"),
        ("slack", 429, "rate_limited", "throttled"),
        ("slack", 500, "rollup_error", "server-error"),
        ("teams", 202, "", None),
        ("teams", 200, "1", None),
        (
            "teams",
            200,
            "Webhook delivery failed: Microsoft Teams endpoint returned HTTP error 429",
            "throttled",
        ),
        ("teams", 200, "Microsoft Teams endpoint returned HTTP error 413 with ContextId x", "refused"),
        ("teams", 200, "Microsoft Teams endpoint returned HTTP error 503", "server-error"),
        ("teams", 200, "Microsoft Teams endpoint returned HTTP error 200", "protocol"),
        ("mattermost", 200, "ok", None),
        ("mattermost", 200, " <!doctype html><title>Log in</title>", "protocol"),
        ("google-chat", 200, '{"name": "spaces/x"}', None),
        ("ntfy", 200, '{"id": "x"}', None),
    ],
)
async def test_what_a_chat_answers_decides(
    client: Client,
    channel: ChatChannel,
    status: int,
    answer: str,
    failure: Failure | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(answering(status, answer.encode())) as server:
        monkeypatch.setenv("CHAT_URL", server.url("/desk"))
        assert (await send(chat(channel), letter(), client)).failure == failure


@pytest.mark.parametrize(
    ("channel", "value"),
    [
        ("slack", None),
        ("slack", "not an address"),
        ("slack", "https://user:word@chat.example/hooks/s3cret"),
        ("slack", "ftp://chat.example/s3cret"),
        ("ntfy", "https://ntfy.example/"),
        ("ntfy", "https://ntfy.example/s3cret/of/more"),
        ("ntfy", "https://ntfy.example/s3cret?x=y.z"),
    ],
)
async def test_an_address_that_cannot_be_one_is_named_by_its_reference_alone(
    client: Client, channel: ChatChannel, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("CHAT_URL", value)
    attempt = await send(chat(channel), letter(), client)
    assert attempt.failure == "misconfigured"
    assert (attempt.answer or "").startswith("env:CHAT_URL: ")
    assert "s3cret" not in repr(attempt)


@each_channel
async def test_neither_answers_nor_logs_repeat_an_address_or_a_token(
    channel: ChatChannel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hasty = Client(("127.0.0.0/8",), attempt_seconds=0.1)
    monkeypatch.setenv("NTFY_TOKEN", "tk_AgQdq7mVBoFD37zQVN29")
    said: list[Attempt] = []
    for handler in (
        answering(404, b"nothing at /T0B0s3cret"),
        answering(401, b"tk_AgQdq7mVBoFD37zQVN29 is unknown"),
        hanging,
    ):
        async with serving(handler) as server:
            monkeypatch.setenv("CHAT_URL", server.url("/T0B0s3cret"))
            said.append(await send(chat(channel, token="env:NTFY_TOKEN"), letter(), hasty))
    monkeypatch.setenv("CHAT_URL", "https://T0B0s3cret.invalid/T0B0s3cret")
    said.append(await send(chat(channel, token="env:NTFY_TOKEN"), letter(), hasty))
    await hasty.aclose()
    assert [attempt.failure for attempt in said[:3]] == ["refused", "refused", "timeout"]
    for each in ("s3cret", "AgQdq7mVBoFD37zQVN29", LINK):
        assert each not in repr(said)
        assert each not in caplog.text
