"""A scene for the isolation tests: names that begin alike, releases told to one or to both, and false tokens."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from schemas.alert import AlertIssued
from schemas.delivery import DeliveryRequested, DeliverySucceeded, delivery_id
from schemas.envelope import encode
from schemas.registry import Registry
from services.kernel.credential_log import Token, issue, issued, revoke
from services.kernel.registry_log import publish
from tests.broker.doorway import DAY, TLS, Door, opened

ENDPOINT = "hook"
LABS, AGENCIES, LEFT = ("aurora", "aurora-2"), ("cisa", "cisa-ics"), "left"
EVERYBODY = (*LABS, *AGENCIES)
NONE = "nobody-at-all"
"""The owner of what is not there."""

RELEASES = {
    "only-cisa": ("aurora", ("cisa", LEFT)),
    "only-ics": ("aurora-2", ("cisa-ics",)),
    "both": ("aurora", AGENCIES),
}
ANSWERED = {"cisa": "only-cisa", "cisa-ics": "only-ics", LEFT: "only-cisa"}


class Answer(NamedTuple):
    """What came back, without what differs from request to request."""

    status: int
    headers: frozenset[str]
    body: str


@dataclass(slots=True)
class Scene:
    """A door, who knocks with what credentials, and what there is to be had.

    `objects`: by kind and owner. `secrets`: a text, and the names that all must be visible to who reads it. `alerts`:
    how many each agency was sent. `said`: how many events Kafka took from each.
    """

    door: Door
    knocks: dict[str, str | None]
    objects: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: dict[str, set[str]] = field(default_factory=dict)
    alerts: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)

    async def knock(self, who: str, method: str, path: str, **named: Any) -> Answer:
        """One request; of a stream, as many events as there are for whoever asks."""
        credentials = self.knocks[who]
        headers = named.pop("headers", {}) | ({"Authorization": credentials} if credentials else {})
        client = httpx.AsyncClient(base_url=self.door.address, headers=headers, timeout=60, verify=TLS)
        async with client, client.stream(method, path, **named) as answer:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                body = await _first_events(answer, self.alerts[who])
            else:
                body = (await answer.aread()).decode()
        says = method == "POST" and not path.endswith(("/link", "/replay"))
        self.said[who] += says and (answer.is_success or "wait=" in path)
        body = re.sub(r'"request_id":"[^"]*"', "", body)
        return Answer(answer.status_code, frozenset(answer.headers), f"{answer.headers.get('location', '')}\n{body}")

    def unseen(self, visible: Collection[str], answer: Answer) -> list[str]:
        """What an answer holds that is not for somebody who may see these names alone."""
        hidden = [text for text, names in self.secrets.items() if not names.issubset(visible)]
        return [text for text in hidden if re.search(rf"(?<![\w-]){re.escape(text)}(?![\w-])", answer.body)]


@asynccontextmanager
async def staged(kafka: str, folder: Path) -> AsyncIterator[Scene]:
    """Three releases, their alerts, an answer to each; then somebody leaves, and tokens expire and are revoked."""
    who = (*EVERYBODY, LEFT)
    async with opened(kafka, "isolation.", folder, _registry(1, who), who) as door:
        scene = Scene(door, {name: f"Bearer {door.tokens[name]}" for name in who})
        await _furnish(scene)
        connection, now = door.deployment.connection, datetime.now(UTC)
        await publish(connection, _registry(2, EVERYBODY), now)
        expired = await issue(connection, "cisa", "yesterday's", DAY, now - 2 * DAY)
        revoked = await issue(connection, "cisa", "revoked", DAY, now)
        await revoke(connection, (await issued(connection))[revoked.token_id], now)
        good = door.tokens["cisa"]
        scene.knocks |= {
            "nobody": None,
            "expired": f"Bearer {expired}",
            "revoked": f"Bearer {revoked}",
            "another's secret": f"Bearer {Token(good.token_id, expired.secret)}",
            "the secret alone": f"Bearer {good.secret}",
            "garbage": "Bearer herald_x_y",
            "another scheme": f"Basic {good}",
        }
        for _ in range(600):
            answers = [await scene.knock(one, "GET", "/v1/receipts/none") for one in (LEFT, "revoked")]
            if [answer.status for answer in answers] == [403, 401]:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError(answers)
        yield scene


def release(name: str, *agencies: str) -> dict[str, Any]:
    """A release for the listed agencies."""
    return {
        "reference": name,
        "model": {"name": f"Model {name}"},
        "trusted_partner_release_at": "2099-01-31T00:00:00Z",
        "early_access": {"opens": "P14D"},
        "audience": {"mode": "listed", "agencies": agencies or [NONE]},
    }


async def pushed(door: Door, agency: str) -> None:
    """Has all that an agency was told asked for on its endpoint, and waits until it can look at that."""
    said = (await door.get(agency, "/v1/alerts?limit=1000")).json()["alerts"]
    alerts = [AlertIssued.model_validate_json(json.dumps(one["data"])) for one in said]
    now = datetime.now(UTC)
    where: dict[str, Any] = {"agency": agency, "endpoint": ENDPOINT}
    producer = door.deployment.connection.producer()
    await producer.start()
    for alert in alerts:
        name = delivery_id(alert.alert_id, agency, ENDPOINT)
        about: dict[str, Any] = {"release_id": alert.release_id, "alert_id": alert.alert_id, "sequence": alert.sequence}
        about |= {"kind": alert.kind, "exercise": alert.exercise, "attempts": 1, "delivery_id": name, **where}
        for data in (
            DeliveryRequested(**where, delivery_id=name, tier="watch", alert=alert, requested_at=now),
            DeliverySucceeded(**about, at=now, requested_at=now, seconds=0.1, answer="200"),
        ):
            event = encode(data.stamped(cause=name, ordinal=0, source="/services/test", time=now))
            topic = door.deployment.connection.topic(data.topics()[0])
            await producer.send_and_wait(topic, event, key=data.subject().encode())
    await producer.stop()
    for _ in range(600):
        if len((await door.get(agency, "/v1/deliveries?status=taken")).json()["deliveries"]) == len(alerts):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the deliveries of {agency} are not shown")


async def _furnish(scene: Scene) -> None:
    door, ids, alerts = scene.door, {}, {}
    for name, (lab, audience) in RELEASES.items():
        key = {"Idempotency-Key": f"event-of-{lab}" if name != "both" else "another-event"}
        answer = await door.post(lab, "/v1/releases?wait=30", json=release(name, *audience), headers=key)
        ids[name] = answer.json()["data"]["release_id"]
        scene.said[lab] += 1
        for agency in audience:
            alerts[name, agency] = await _told(door, agency, ids[name])
    own = {agency: alerts[name, agency] for agency, name in ANSWERED.items()}
    for agency, alert_id in own.items():
        key = {"Idempotency-Key": f"event-of-{agency}"}
        path = f"/v1/alerts/{alert_id}/acknowledgement?wait=30"
        assert (await door.post(agency, path, json={"disposition": "received"}, headers=key)).status_code == 200
        scene.said[agency] += 1
    nothing, known = "00000000-0000-4000-8000-000000000000", (*EVERYBODY, LEFT, NONE)
    scene.objects = {
        "release": {"aurora": ids["only-cisa"], "aurora-2": ids["only-ics"], NONE: nothing},
        "alert": {**own, NONE: nothing},
        "delivery": {**{agency: delivery_id(own[agency], agency, ENDPOINT) for agency in own}, NONE: nothing},
        "event": {one: f"event-of-{one}" for one in known},
        "source": {one: f"/{'labs' if one in (*LABS, NONE) else 'agencies'}/{one}" for one in known},
    }
    scene.secrets = {name: {name} for name in (*RELEASES, *EVERYBODY, LEFT)}
    scene.secrets |= {ids[name]: {name} for name in RELEASES} | {f"Model {name}": {name} for name in RELEASES}
    scene.secrets |= {alert_id: {*key} for key, alert_id in alerts.items()}
    scene.secrets |= {delivery_id(alert_id, key[1], ENDPOINT): {*key} for key, alert_id in alerts.items()}
    scene.alerts.update(agency for _, agency in alerts)
    for agency in ANSWERED:
        await pushed(door, agency)


async def _told(door: Door, agency: str, release_id: str) -> str:
    for _ in range(600):
        for alert in (await door.get(agency, "/v1/alerts?limit=1000")).json()["alerts"]:
            if alert["data"]["release_id"] == release_id:
                return str(alert["id"])
        await asyncio.sleep(0.05)
    raise AssertionError(f"{agency} was not told")


async def _first_events(answer: httpx.Response, count: int) -> str:
    lines = []
    async for line in answer.aiter_lines():
        lines.append(line)
        count -= line.startswith("data: ")
        if not count:
            break
    return "\n".join(lines)


def _registry(version: int, who: Collection[str]) -> Registry:
    base = {"version": version, "namespace": "6d1f3c1e-6f0e-4b5c-9c39-1d0a5b1d7c55"}
    named: dict[str, dict[str, Any]] = {name: {"name": name.title()} for name in who}
    labs = {name: entry for name, entry in named.items() if name in LABS}
    agencies = {name: entry for name, entry in named.items() if name not in LABS}
    hook = {"channel": "webhook", "tier": "watch", "url": "https://192.0.2.1/", "secrets": ["env:NOT_SET"]}
    for agency in agencies.values():
        agency["endpoints"] = {ENDPOINT: hook}
    gone = {} if LEFT in who else {LEFT: "2027-01-01T00:00:00Z"}
    return Registry.model_validate_json(json.dumps(base | {"labs": labs, "agencies": agencies, "offboarded": gone}))
