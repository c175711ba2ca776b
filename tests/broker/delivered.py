"""A deployment with deliveries of every fate on one endpoint, as the services would have written them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.alert import Content
from schemas.delivery import DeliveryAbandoned, DeliveryFailed, DeliveryRequested, DeliverySucceeded
from schemas.envelope import Data, encode
from tests.broker.deployment import Deployment
from tests.unit.endpoint_world import registry, requested

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIDENTIAL = "Halo the Unspoken"
PARTITIONS = 2
HOOK: dict[str, Any] = {"agency": "cisa", "endpoint": "hook"}
FATES = {"new": ("pending", 0), "late": ("failing", 1), "got": ("taken", 1), "lost": ("abandoned", 1)}
FATES |= {"old": ("abandoned", 0), "newer": ("pending", 0)}
"""By name: how it stands, and how often it was tried. `newer` is of the same release as `old`."""


def _letter(number: int, sequence: int) -> DeliveryRequested:
    content = {
        "lab": "aurora-labs",
        "reference": "halo-4",
        "model": {"name": CONFIDENTIAL},
        "trusted_partner_release_at": BEGAN,
        "window": {"status": "open"},
    }
    found = requested(number, sequence, BEGAN)
    said = found.alert.model_copy(update={"content": Content.model_validate(content, strict=False)})
    return found.model_copy(update={"alert": said})


LETTERS = {name: _letter(number, 1) for number, name in enumerate(("new", "late", "got", "lost", "old"))}
LETTERS["newer"] = _letter(4, 2)
IDS = {name: letter.delivery_id for name, letter in LETTERS.items()}


async def delivered(kafka: str, prefix: str, folder: Path, **env: str) -> Deployment:
    """Topics, a registry, and the deliveries; no service runs."""
    deployment = Deployment(kafka, prefix, folder, partitions=PARTITIONS, env=env)
    named = registry().model_copy(update={"version": 1, "namespace": "6d1f3c1e-6f0e-4b5c-9c39-1d0a5b1d7c55"})
    await deployment.prepare(named)
    await say(deployment, list(LETTERS.values()))
    retry_at, at = datetime.now(UTC) + timedelta(hours=2), BEGAN + timedelta(seconds=1)
    late: dict[str, Any] = {"reason": "server-error", "seconds": 0.25, "answer": "503", "retry_at": retry_at}
    came = [
        DeliveryFailed(**of("late"), at=at, **late),
        DeliverySucceeded(**of("got"), at=at, requested_at=BEGAN, seconds=0.1, answer="200 OK"),
        DeliveryAbandoned(**of("lost"), at=at, reason="refused", failure="gone", seconds=0.1, answer="410"),
        DeliveryAbandoned(**of("old"), at=at, reason="superseded"),
    ]
    await say(deployment, came)
    return deployment


def of(name: str) -> dict[str, Any]:
    """What every outcome says of a delivery."""
    letter = LETTERS[name]
    about = {part: getattr(letter.alert, part) for part in ("release_id", "alert_id", "sequence", "kind", "exercise")}
    return HOOK | about | {"channel": "webhook", "delivery_id": letter.delivery_id, "attempts": 1}


async def say(deployment: Deployment, said: Sequence[Data]) -> None:
    """As the services would write it."""
    producer = deployment.connection.producer()
    await producer.start()
    for number, one in enumerate(said):
        event = one.stamped(cause="a test", ordinal=number, source="/services/test", time=BEGAN)
        for topic in one.topics():
            await producer.send_and_wait(deployment.connection.topic(topic), encode(event), key=one.subject().encode())
    await producer.stop()
