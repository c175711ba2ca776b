"""A webhook: the alert as JSON, signed as Standard Webhooks 1.0 says."""

from collections.abc import Iterator
from datetime import UTC
from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from standardwebhooks import Webhook as Signer

from schemas.alert import AlertIssued
from schemas.endpoint import SecretRef, Webhook, signing_key
from schemas.endpoint_check import is_own_header
from schemas.values import rfc3339
from services.deliveries.http import Client
from services.deliveries.letter import Attempt, Letter
from services.deliveries.secret import SecretError, read
from services.deliveries.verdict import line, parts

DIGEST, NOTICE = "herald.digest.v1", "herald.notice.v1"

_THIN = (
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
)
"""All that is told where the alert itself is not: nothing of lab, model, reference or the window's dates."""


async def send(endpoint: Webhook, letter: Letter, client: Client) -> Attempt:
    """One attempt. It raises nothing for what is wrong at the other side, or with a secret."""
    try:
        secrets = [read(ref) for ref in endpoint.secrets]
        signers = [_signer(secret, ref) for secret, ref in zip(secrets, endpoint.secrets, strict=True)]
    except SecretError as error:
        return Attempt(0.0, "misconfigured", line(str(error)))
    shown = body(endpoint, letter)
    text = to_json(shown).decode()
    at = letter.written_at.astimezone(UTC)
    own = {
        "content-type": "application/json",
        "webhook-id": letter.letter_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(each.sign(letter.letter_id, at, text) for each in signers),
    }
    if letter.traceparent is not None:
        own["traceparent"] = letter.traceparent
    extra = {name: value for name, value in endpoint.headers.items() if not is_own_header(name)}

    def private() -> Iterator[str]:
        yield from parts(endpoint.url)
        yield from (*extra.values(), *secrets, own["webhook-signature"], *letter.links.values())
        for alert in letter.alerts:
            yield from _texts(alert.model_dump(mode="json")["content"])

    return await client.post(
        endpoint.url, extra | own, text.encode(), private=private, certificate=endpoint.client_certificate
    )


def body(endpoint: Webhook, letter: Letter) -> dict[str, Any]:
    """What is sent, before it is JSON."""
    timestamp = rfc3339(letter.written_at)
    if letter.notice is not None:
        return {"type": NOTICE, "timestamp": timestamp, "data": letter.notice.model_dump(mode="json")}
    told = [(_data(endpoint, alert), _link(letter, alert)) for alert in letter.alerts]
    if len(told) == 1:
        data, link = told[0]
        return {"type": AlertIssued.type, "timestamp": timestamp, "data": data, **link}
    return {"type": DIGEST, "timestamp": timestamp, "data": {"alerts": [data | link for data, link in told]}}


def _data(endpoint: Webhook, alert: AlertIssued) -> dict[str, Any]:
    thin = endpoint.content == "thin" or alert.tlp == "TLP:RED"
    return alert.model_dump(mode="json", exclude_none=True, include=set(_THIN) if thin else None)


def _link(letter: Letter, alert: AlertIssued) -> dict[str, str]:
    link = letter.links.get(alert.alert_id)
    return {"acknowledge_url": link} if link else {}


@lru_cache(1024)
def _signer(secret: str, ref: SecretRef) -> Signer:
    """Signs with a secret, which Standard Webhooks wants to be 24 to 64 bytes. Raises SecretError."""
    if signing_key(secret) is None:
        raise SecretError(f"{ref}: it must be whsec_ and 24 to 64 bytes in base64")
    return Signer(secret)


def _texts(value: Any) -> Iterator[str]:
    """Every string in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
