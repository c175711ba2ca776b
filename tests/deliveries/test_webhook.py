"""A webhook carries the alert, or a pointer to it, and is signed so that others' libraries verify it."""

import asyncio
import json
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from schemas.endpoint import Webhook
from schemas.values import rfc3339
from services.deliveries.http import Client
from services.deliveries.letter import Attempt, Letter
from services.deliveries.webhook import body, send
from tests.deliveries.hostile import HOSTILE, MARK
from tests.deliveries.letters import LINK, RELEASED, WHEN, alert, letter, notice
from tests.deliveries.servers import Got, answering, hanging, serving
from tests.npm import node, package

STANDARD_WEBHOOKS = ("standardwebhooks", "1.1.1")
"""Of npm, by the authors of the standard."""
SECRET, OLD_SECRET, OTHER_SECRET = ("whsec_" + b64encode(bytes([each]) * 32).decode() for each in (1, 2, 3))
THIN = {
    "alert_id",
    "release_id",
    "agency",
    "sequence",
    "kind",
    "exercise",
    "tlp",
    "answer_by",
    "asks",
    "repeats",
    "chase",
    "voluntary",
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_SECRET", SECRET)
    monkeypatch.setenv("OLD_SECRET", OLD_SECRET)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    opened = Client(("127.0.0.0/8",))
    yield opened
    await opened.aclose()


def webhook(url: str = "https://desk.example/hook", **fields: Any) -> Webhook:
    return Webhook.model_validate(
        {"channel": "webhook", "tier": "watch", "url": url, "secrets": ("env:NEW_SECRET",), **fields}
    )


async def sent(client: Client, told: Letter, **fields: Any) -> Got:
    """The request that a server gets."""
    async with serving(answering(204)) as server:
        attempt = await send(webhook(server.url(), **fields), told, client)
        assert attempt == Attempt(attempt.seconds, None, "HTTP 204")
        return server.got[0]


async def test_it_is_signed_as_standard_webhooks_says_and_the_official_library_verifies_it(client: Client) -> None:
    told = letter(at=datetime.now(UTC))
    got = await sent(client, told)
    assert got.headers["webhook-id"] == told.letter_id == told.alerts[0].alert_id
    assert got.headers["webhook-timestamp"] == str(int(told.written_at.timestamp()))
    assert got.headers["content-type"] == "application/json"
    assert Verifier(SECRET).verify(got.body, got.headers)["data"]["alert_id"] == told.letter_id


@pytest.mark.parametrize("hours", [5.5, -7])
async def test_the_zone_in_which_it_was_written_does_not_change_the_signature(client: Client, hours: float) -> None:
    got = await sent(client, letter(at=datetime.now(timezone(timedelta(hours=hours)))))
    Verifier(SECRET).verify(got.body, got.headers)


@pytest.mark.parametrize("minutes", [-6, 6])
async def test_a_stale_one_and_one_from_the_future_are_not_verified(client: Client, minutes: int) -> None:
    got = await sent(client, letter(at=datetime.now(UTC) + timedelta(minutes=minutes)))
    with pytest.raises(WebhookVerificationError, match="Message timestamp too"):
        Verifier(SECRET).verify(got.body, got.headers)


async def test_a_wrong_secret_a_changed_body_or_a_changed_id_is_not_verified(client: Client) -> None:
    got = await sent(client, letter(at=datetime.now(UTC)))
    for secret, content, headers in (
        (OTHER_SECRET, got.body, got.headers),
        (SECRET, got.body.replace(b"opened", b"closed"), got.headers),
        (SECRET, got.body, got.headers | {"webhook-id": "another"}),
    ):
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            Verifier(secret).verify(content, headers)


async def test_while_a_secret_is_replaced_both_verify(client: Client) -> None:
    got = await sent(client, letter(at=datetime.now(UTC)), secrets=("env:NEW_SECRET", "env:OLD_SECRET"))
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OLD_SECRET):
        Verifier(secret).verify(got.body, got.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(OTHER_SECRET).verify(got.body, got.headers)


async def test_a_secret_that_is_replaced_signs_the_next_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for secret in (SECRET, OTHER_SECRET):
        monkeypatch.setenv("NEW_SECRET", secret)
        got = await sent(client, letter(at=datetime.now(UTC)))
        Verifier(secret).verify(got.body, got.headers)


def test_an_implementation_in_another_language_verifies_it() -> None:
    """Node, with the package that its authors publish; fetched once a user."""
    folder = package(*STANDARD_WEBHOOKS)
    told = letter(at=datetime.now(UTC))

    async def request() -> Got:
        opened = Client(("127.0.0.0/8",))
        got = await sent(opened, told, secrets=("env:NEW_SECRET", "env:OLD_SECRET"))
        await opened.aclose()
        return got

    got = asyncio.run(request())
    script = """
        const { Webhook } = require("standardwebhooks")
        const { headers, body, secrets } = JSON.parse(require("fs").readFileSync(0))
        const verified = (secret) => {
            try { return new Webhook(secret).verify(body, headers).data.alert_id } catch (error) { return error.name }
        }
        console.log(JSON.stringify(secrets.map(verified)))
    """
    asked = {"headers": got.headers, "body": got.body.decode(), "secrets": [SECRET, OLD_SECRET, OTHER_SECRET]}
    verified = json.loads(node(folder, script, json.dumps(asked)))
    assert verified == [told.letter_id, told.letter_id, "WebhookVerificationError"]


def test_a_full_one_carries_the_alert_as_its_event_does_with_the_link_beside() -> None:
    told = letter()
    assert body(webhook(), told) == {
        "type": "herald.alert.issued.v1",
        "timestamp": rfc3339(WHEN),
        "data": told.alerts[0].model_dump(mode="json", exclude_none=True),
        "acknowledge_url": f"{LINK}1",
    }
    assert "acknowledge_url" not in body(webhook(), letter(links=False))


@pytest.mark.parametrize(("content", "tlp"), [("thin", "TLP:CLEAR"), ("full", "TLP:RED"), ("thin", "TLP:RED")])
def test_a_thin_one_and_one_that_is_tlp_red_say_nothing_of_the_release(content: str, tlp: Any) -> None:
    shown = body(webhook(content=content), letter(alert(tlp=tlp)))
    assert set(shown) == {"type", "timestamp", "data", "acknowledge_url"}
    assert set(shown["data"]) <= THIN
    assert {"alert_id", "kind", "answer_by", "voluntary", "exercise"} <= set(shown["data"])
    for told in ("halo", "Halo", "aurora", "Aurora", rfc3339(RELEASED)):
        assert told not in json.dumps(shown)


def test_several_are_one_digest_in_which_each_is_as_it_would_be_alone() -> None:
    told = letter(alert(1), alert(2, tlp="TLP:RED"))
    shown = body(webhook(), told)
    assert shown["type"] == "herald.digest.v1"
    first, second = shown["data"]["alerts"]
    assert (first["acknowledge_url"], second["acknowledge_url"]) == (f"{LINK}1", f"{LINK}2")
    assert "content" in first
    assert set(second) - {"acknowledge_url"} <= THIN


def test_a_notice_says_which_endpoint_it_is_about() -> None:
    shown = body(webhook(), notice("disabled"))
    assert shown["type"] == "herald.notice.v1"
    assert (shown["data"]["notice"], shown["data"]["about"]) == ("disabled", "desk")


async def test_the_trace_of_the_attempt_goes_along_as_a_header_and_where_there_is_none_no_header(
    client: Client,
) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    got = await sent(client, replace(letter(), traceparent=traceparent), headers={"Traceparent": "17"})
    assert got.headers["traceparent"] == traceparent
    assert "traceparent" not in (await sent(client, letter())).headers


async def test_headers_of_the_endpoint_are_sent_but_for_those_that_are_heralds(client: Client) -> None:
    mine = {"Authorization": "Basic ZGVzaw", "X-Team": "desk"}
    taken = dict.fromkeys(
        (
            "Content-Type",
            "CONTENT-LENGTH",
            "Host",
            "Transfer-Encoding",
            "Connection",
            "Expect",
            "Accept-Encoding",
            "Webhook-Id",
            "webhook-signature",
            "Webhook-Timestamp",
            "Webhook-Anything",
            "Proxy-Authorization",
        ),
        "17",
    )
    got = await sent(client, letter(), headers=mine | taken)
    assert {"authorization": "Basic ZGVzaw", "x-team": "desk"}.items() <= got.headers.items()
    assert "17" not in got.headers.values()
    assert "webhook-anything" not in got.headers


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (None, "no such variable"),
        (" ", "empty"),
        ("whsec_c2hvcnQ=", "24 to 64 bytes"),
        ("whsec_" + "A" * 400, "24 to 64 bytes"),
        ("whsec_not base64 at all, but long enough to be", "24 to 64 bytes"),
        (SECRET.removeprefix("whsec_"), "must be whsec_"),
    ],
)
async def test_a_secret_that_cannot_sign_is_named_and_nothing_is_sent(
    client: Client, monkeypatch: pytest.MonkeyPatch, value: str | None, wrong: str
) -> None:
    if value is None:
        monkeypatch.delenv("OLD_SECRET")
    else:
        monkeypatch.setenv("OLD_SECRET", value)
    async with serving(answering(204)) as server:
        endpoint = webhook(server.url(), secrets=("env:NEW_SECRET", "env:OLD_SECRET"))
        attempt = await send(endpoint, letter(), client)
        assert attempt.failure == "misconfigured"
        assert attempt.answer is not None
        assert attempt.answer.startswith("env:OLD_SECRET: ")
        assert wrong in attempt.answer
        assert (value or "whsec_").strip() not in attempt.answer or not (value or "").strip()
        assert server.connections == 0


async def test_neither_answers_nor_logs_repeat_what_was_sent_or_where_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    hasty = Client(("127.0.0.0/8",), attempt_seconds=0.2)
    headers = {"Authorization": "Bearer desk-token-4711"}
    told = letter(alert(text="Halo of Aurora"))
    private = ("desk-token-4711", SECRET, SECRET[6:], "/hook/desk-path", "query-4711", "Halo of Aurora", LINK)
    said = []
    for echoed in private:
        async with serving(answering(400, f"not: {echoed}".encode())) as server:
            said.append(await send(webhook(server.url("/hook/desk-path?key=query-4711"), headers=headers), told, hasty))
    async with serving(hanging) as server:
        said.append(await send(webhook(server.url("/hook/desk-path?key=query-4711"), headers=headers), told, hasty))
    await hasty.aclose()
    assert [attempt.answer for attempt in said] == ["HTTP 400"] * len(private) + ["no answer in time"]
    for each in private:
        assert each not in caplog.text
        assert each not in repr(said)


class Recorder:
    """Takes what would be posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[dict[str, str], bytes]] = []

    async def post(self, url: str, headers: dict[str, str], body: bytes, **how: Any) -> Attempt:
        self.posted.append((headers, body))
        return Attempt(0.0)


@given(HOSTILE)
def test_no_text_of_a_lab_gets_into_a_header_or_out_of_its_string(text: str) -> None:
    recorder: Any = Recorder()
    asyncio.run(send(webhook(), letter(alert(text=text)), recorder))
    ((headers, content),) = recorder.posted
    assert set(headers) == {"content-type", "webhook-id", "webhook-timestamp", "webhook-signature"}
    assert MARK not in "".join(headers.values())
    assert json.loads(content)["data"]["content"]["handling"] == text
    assert all(control not in content for control in (b"\r", b"\n", b"\0"))


@given(HOSTILE, st.sampled_from(["thin", "full"]))
def test_a_thin_body_is_the_same_whatever_a_lab_has_written(text: str, content: str) -> None:
    endpoint = webhook(content=content)
    assert body(endpoint, letter(alert(text=text, tlp="TLP:RED"))) == body(endpoint, letter(alert(tlp="TLP:RED")))
