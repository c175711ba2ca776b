"""People are told: alerts go from a lab's statement to a webhook and a mailbox, on a real Kafka and real servers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from schemas.registry import Registry
from tests.broker import flow
from tests.broker.deployment import ALL, Deployment
from tests.broker.receivers import SECRET, Hooks, Mails
from tests.broker.test_deployment import send, statement

pytestmark = pytest.mark.asyncio(loop_scope="module")


def registry(hooked: Hooks, mailed: Mails) -> Registry:
    """agency-a takes a webhook, and mail when its second tier is asked; agency-b's webhook is dead, its mail is not."""
    whole = json.loads(flow.registry().model_dump_json())
    hook = {"channel": "webhook", "tier": "watch", "secrets": ["env:HOOK_SECRET"]}
    mail = {"channel": "email", "tier": "lead"}
    whole["agencies"]["agency-a"] |= {
        "tiers": ["watch", "lead"],
        "endpoints": {
            "desk": hook | {"url": f"{hooked.address}/a"},
            "thin": hook | {"url": f"{hooked.address}/thin", "content": "thin"},
            "lead": mail | {"to": "lead@a.example"},
        },
    }
    whole["agencies"]["agency-b"] |= {
        "tiers": ["watch", "lead"],
        "endpoints": {"desk": hook | {"url": f"{hooked.address}/gone"}, "lead": mail | {"to": "lead@b.example"}},
    }
    whole["mail"] = mailed.relay
    whole["allow_networks"] = ["127.0.0.0/8"]
    return Registry.model_validate_json(json.dumps(whole))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(
    kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks, mailed: Mails
) -> AsyncIterator[Deployment]:
    """Everything that an alert goes through, deliveries among it."""
    folder = tmp_path_factory.mktemp("delivering")
    env = {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder), "HERALD_DOOR__PORT": "8443"}
    hooked.answer = lambda path: 410 if path == "/gone" else 204
    found = Deployment(kafka, "delivering.", folder, partitions=2, env=env)
    await found.prepare(registry(hooked, mailed))
    found.start(*ALL, "deliveries")
    await found.ready()
    yield found
    found.stop()


async def came(found: Any, count: int) -> None:
    """Waits until so many are there."""
    while len(found()) < count:
        await asyncio.sleep(0.05)


async def ended(deployment: Deployment, release_id: str, count: int) -> list[dict[str, Any]]:
    """What came of the deliveries of a release, once so many have ended."""
    while True:
        events = [one["data"] | {"type": one["type"]} for one in await deployment.events("delivery-outcomes", 2)]
        found = [one for one in events if one.get("release_id") == release_id and "failed" not in one["type"]]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.1)


async def test_an_alert_reaches_a_signed_webhook_once_full_and_thin(deployment: Deployment, hooked: Hooks) -> None:
    await send(deployment, "releases.lab-a", statement("one", "one-1", handling="as agreed"))
    (alert,) = [one["data"] for one in await deployment.settled("alerts.agency-a", 1)][-1:]
    outcomes = await ended(deployment, alert["release_id"], 4)
    assert {(one["agency"], one["endpoint"]) for one in outcomes if "succeeded" in one["type"]} >= {
        ("agency-a", "desk"),
        ("agency-a", "thin"),
    }
    bodies = {path: body for path, letter_id, body in hooked.taken if letter_id == alert["alert_id"]}
    assert bodies["/a"]["data"]["content"]["reference"] == "one"
    assert "one" not in json.dumps(bodies["/thin"]["data"]).replace(alert["alert_id"], "").split('"')
    assert "content" not in bodies["/thin"]["data"]
    assert bodies["/a"]["acknowledge_url"].startswith("http://127.0.0.1:8443/acknowledge/")
    assert hooked.ids("/a").count(alert["alert_id"]) == hooked.ids("/thin").count(alert["alert_id"]) == 1


async def test_where_no_endpoint_of_a_tier_takes_it_the_next_tier_is_told_at_once(
    deployment: Deployment, mailed: Mails
) -> None:
    await send(deployment, "releases.lab-a", statement("two", "two-1"))
    mine = [one["data"] for one in await deployment.settled("alerts.agency-b", 2)]
    alert = mine[-1]
    await came(lambda: [one for one in mailed.ids() if one == alert["alert_id"]], 1)
    mail = next(one for one in mailed.taken if one["x-herald-alert-id"] == alert["alert_id"])
    assert "lead@b.example" in str(mail["to"])
    assert "two" not in str(mail["subject"])
    outcomes = await ended(deployment, alert["release_id"], 4)
    given_up = [one for one in outcomes if "abandoned" in one["type"]]
    assert [(one["endpoint"], one["reason"], one["failure"]) for one in given_up] == [("desk", "refused", "gone")]
