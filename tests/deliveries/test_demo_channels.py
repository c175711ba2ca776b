"""The demo's receivers, each spoken to by a client that is not Herald's: what they take, and what they do not."""

import asyncio
import json
import smtplib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
import pytest_asyncio
from standardwebhooks import Webhook as Signer

from schemas import registry_file
from schemas.endpoint import Webhook
from services.cli.demo.channels import Channels
from services.cli.demo.pushed import Pushed
from services.cli.demo.scenario import FILES

ALERT: dict[str, Any] = {"alert_id": "one", "kind": "opened", "content": {"lab": "aurora-labs", "reference": "halo-4"}}


@pytest_asyncio.fixture
async def channels() -> AsyncIterator[Channels]:
    """The receivers of the demo's registry."""
    async with Channels(registry_file.load((FILES / "registry.yaml").read_text())) as found:
        yield found


async def heard(channels: Channels) -> Pushed:
    """The next message that came."""
    return await anext(channels.heard())


async def post(channels: Channels, secret: str, about: dict[str, Any], **other: Any) -> httpx.Response:
    """Signs and posts to cisa's desk; `other`: how it differs from what should be."""
    desk = channels.registry.agencies["cisa"].endpoints["desk"]
    assert isinstance(desk, Webhook)
    body, at = json.dumps({"type": "herald.alert.issued.v1", "data": about}), other.get("at", datetime.now(UTC))
    message_id = other.get("message_id", "one")
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Signer(secret).sign(message_id, at, body),
    }
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(desk.url.replace("/cisa/", other.get("to", "/cisa/")), content=body, headers=headers)


async def test_a_signed_webhook_is_taken_by_the_endpoint_that_it_is_for(channels: Channels) -> None:
    answer = await post(channels, channels.environment["CISA_DESK_SECRET"], ALERT)
    assert answer.status_code == 204
    assert await heard(channels) == Pushed("cisa", "desk", "webhook", ("one",), "opened aurora-labs/halo-4")
    assert (await post(channels, channels.environment["CISA_DESK_SECRET"], ALERT, to="/nobody/")).status_code == 404


@pytest.mark.parametrize(
    ("name", "other", "fault"),
    [
        ("CISA_LEAD_SECRET", {}, "No matching signature"),
        ("CISA_DESK_SECRET", {"at": datetime.now(UTC) - timedelta(hours=1)}, "too old"),
        ("CISA_DESK_SECRET", {"message_id": "another"}, "alert one came with the id another"),
    ],
)
async def test_what_is_not_signed_for_it_now_and_by_its_id_is_not_taken(
    channels: Channels, name: str, other: dict[str, Any], fault: str
) -> None:
    answer = await post(channels, channels.environment[name], ALERT, **other)
    assert answer.status_code == 401
    push = await heard(channels)
    assert (push.alerts, push.agency, push.endpoint) == ((), "cisa", "desk")
    assert fault in push.fault


async def test_a_mail_is_taken_for_an_address_of_the_registry_and_for_no_other(channels: Channels) -> None:
    message = EmailMessage()
    message["Subject"], message["X-Herald-Alert-Id"] = "Early access is open", "one"
    message.set_content("Read it and answer:\nhttps://127.0.0.1:8443/acknowledge/x")
    relay = channels.registry.mail
    assert relay is not None

    def say(to: str) -> None:
        with smtplib.SMTP(relay.host, relay.port) as client:
            client.send_message(message, relay.sender, to)

    await asyncio.to_thread(say, "desk@dod.example")
    link = "https://127.0.0.1:8443/acknowledge/x"
    assert await heard(channels) == Pushed("dod", "desk", "email", ("one",), "Early access is open", link)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await asyncio.to_thread(say, "desk@nobody.example")
    del message["X-Herald-Alert-Id"]
    await asyncio.to_thread(say, "desk@dod.example")
    assert (await heard(channels)).fault == "a mail without X-Herald-Alert-Id"
