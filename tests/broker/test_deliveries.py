"""People are told: alerts go from a lab's statement to a webhook and a mailbox, on a real Kafka and real servers."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from schemas.delivery import EndpointResumed, NoticeRequested
from schemas.envelope import derived_id
from schemas.registry import Registry
from tests.broker import flow
from tests.broker.delivered import BEGAN, say
from tests.broker.deployment import Deployment
from tests.broker.doorway import Door, opened
from tests.broker.receivers import SECRET, Hooks, Mails
from tests.broker.test_acknowledgement_link import press
from tests.broker.test_deployment import receipts, send, statement

pytestmark = pytest.mark.asyncio(loop_scope="module")


def registry(hooked: Hooks, mailed: Mails) -> Registry:
    """agency-a takes webhooks, and mail when its second tier is asked; agency-b's webhook is dead, its mail is not.

    agency-c takes both at once.
    """
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
    whole["agencies"]["agency-c"]["endpoints"] = {
        "desk": hook | {"url": f"{hooked.address}/c"},
        "mail": mail | {"tier": "watch", "to": "desk@c.example"},
    }
    whole["mail"] = mailed.relay
    whole["allow_networks"] = ["127.0.0.0/8"]
    return Registry.model_validate_json(json.dumps(whole))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(
    kafka: str, tmp_path_factory: pytest.TempPathFactory, hooked: Hooks, mailed: Mails
) -> AsyncIterator[Door]:
    """Everything that an alert and an answer go through, deliveries among it."""
    folder, known = tmp_path_factory.mktemp("delivering"), registry(hooked, mailed)
    answers(hooked)
    async with opened(kafka, "delivering.", folder, known, (), HOOK_SECRET=SECRET) as found:
        await found.deployment.ready(*found.deployment.start("deliveries"))
        yield found


@pytest.fixture
def deployment(door: Door) -> Deployment:
    """The same as processes and topics."""
    return door.deployment


def answers(hooked: Hooks, *broken: str) -> None:
    """How the webhooks answer from now on: these with 500."""
    statuses = {"/gone": 410, **dict.fromkeys(broken, 500)}
    hooked.answer = lambda path: statuses.get(path, 204)


async def came(found: Any, count: int) -> None:
    """Waits until so many are there."""
    while len(found()) < count:
        await asyncio.sleep(0.05)


async def alert_of(deployment: Deployment, agency: str, reference: str) -> dict[str, Any]:
    """The first alert of a release, waited for as long as the test may take."""
    while True:
        for event in await deployment.events(f"alerts.{agency}"):
            if event["data"]["content"]["reference"] == reference:
                return dict(event["data"])
        await asyncio.sleep(0.05)


async def outcomes(
    deployment: Deployment, count: int, wanted: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    """What came of deliveries, as far as it is wanted, once there is so much of it; the kind stands beside."""
    while True:
        events = await deployment.events("delivery-outcomes", 2)
        found = [one for event in events if wanted(one := event["data"] | {"outcome": event["type"].split(".")[2]})]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.1)


async def ended(deployment: Deployment, release_id: str, count: int) -> list[dict[str, Any]]:
    """What came of the deliveries of a release, once so many have ended."""
    return await outcomes(
        deployment, count, lambda one: one.get("release_id") == release_id and one["outcome"] != "failed"
    )


async def test_an_alert_reaches_a_signed_webhook_once_full_and_thin(door: Door, hooked: Hooks) -> None:
    deployment = door.deployment
    await send(deployment, "releases.lab-a", statement("one", "one-1", handling="as agreed"))
    alert = await alert_of(deployment, "agency-a", "one")
    ends = await ended(deployment, alert["release_id"], 6)
    assert {(one["agency"], one["endpoint"]) for one in ends if one["outcome"] == "succeeded"} >= {
        ("agency-a", "desk"),
        ("agency-a", "thin"),
    }
    bodies = {path: body for path, letter_id, body in hooked.taken if letter_id == alert["alert_id"]}
    assert bodies["/a"]["data"]["content"]["reference"] == "one"
    assert "one" not in json.dumps(bodies["/thin"]["data"]).replace(alert["alert_id"], "").split('"')
    assert "content" not in bodies["/thin"]["data"]
    assert bodies["/a"]["acknowledge_url"].startswith(f"{door.address}/acknowledge/")
    assert hooked.ids("/a").count(alert["alert_id"]) == hooked.ids("/thin").count(alert["alert_id"]) == 1


async def test_where_no_endpoint_of_a_tier_takes_it_the_next_tier_is_told_at_once(
    deployment: Deployment, mailed: Mails
) -> None:
    await send(deployment, "releases.lab-a", statement("two", "two-1"))
    alert = await alert_of(deployment, "agency-b", "two")
    await came(lambda: [one for one in mailed.ids() if one == alert["alert_id"]], 1)
    mail = next(one for one in mailed.taken if one["x-herald-alert-id"] == alert["alert_id"])
    assert "lead@b.example" in str(mail["to"])
    assert "two" not in str(mail["subject"])
    ends = await ended(deployment, alert["release_id"], 6)
    given_up = [one for one in ends if one["outcome"] == "abandoned"]
    assert [(one["endpoint"], one["reason"], one["failure"]) for one in given_up] == [("desk", "refused", "gone")]


async def test_an_answer_in_the_middle_of_retries_ends_them_whether_it_comes_over_kafka_or_by_the_link_of_a_mail(
    deployment: Deployment, hooked: Hooks, mailed: Mails
) -> None:
    paths = {"agency-a": "/a", "agency-c": "/c"}
    answers(hooked, *paths.values())
    await send(deployment, "releases.lab-a", statement("three", "three-1"))
    alerts = {agency: await alert_of(deployment, agency, "three") for agency in paths}
    ids = {alert["alert_id"] for alert in alerts.values()}

    def at_desk(one: dict[str, Any]) -> bool:
        return one.get("alert_id") in ids and one["endpoint"] == "desk"

    tried = await outcomes(deployment, 4, at_desk)
    assert {(one["agency"], one["outcome"], one["attempts"]) for one in tried} == {
        (agency, "failed", attempts) for agency in paths for attempts in (1, 2)
    }
    await came(lambda: [one for one in mailed.ids() if one == alerts["agency-c"]["alert_id"]], 1)
    mail = next(one for one in mailed.taken if one["x-herald-alert-id"] == alerts["agency-c"]["alert_id"])
    text = next(part for part in mail.walk() if part.get_content_type() == "text/plain")
    (link,) = re.findall(r"http://\S+/acknowledge/\S+", text.get_content())
    assert (await press(link, disposition="received")).status_code == 200
    said = {name: alerts["agency-a"][name] for name in ("alert_id", "release_id")} | {"disposition": "received"}
    event = {"specversion": "1.0", "id": "three-a", "source": "/agencies/agency-a", "data": said}
    event["type"] = "herald.acknowledgement.submitted.v1"
    await send(deployment, "acks.agency-a", json.dumps(event).encode())
    ends = await outcomes(deployment, 2, lambda one: at_desk(one) and one["outcome"] != "failed")
    assert {(one["agency"], one["outcome"], one.get("reason"), one["attempts"]) for one in ends} == {
        (agency, "abandoned", "acknowledged", 2) for agency in paths
    }

    answers(hooked)  # what was still pending would come with the resume, before a test that is asked for after it
    for agency, path in paths.items():
        where: dict[str, Any] = {"agency": agency, "endpoint": "desk"}
        name = derived_id("notice", agency)
        test = NoticeRequested(**where, notice_id=name, notice="test", about="desk", requested_at=BEGAN)
        await say(deployment, [EndpointResumed(**where), test])
        await came(lambda name=name, path=path: [one for one in hooked.ids(path) if one == name], 1)
    assert not ids & {*hooked.ids("/a"), *hooked.ids("/c")}


async def test_a_revision_that_matters_to_nobody_is_delivered_nowhere_and_one_that_matters_everywhere(
    deployment: Deployment, hooked: Hooks, mailed: Mails
) -> None:
    answers(hooked)
    await send(deployment, "releases.lab-a", statement("four", "four-1"))
    release_id = (await alert_of(deployment, "agency-a", "four"))["release_id"]
    await ended(deployment, release_id, 6)
    summary, later = {"model": {"name": "Model", "summary": "Larger."}}, "2099-03-31T00:00:00Z"
    await send(deployment, "releases.lab-a", statement("four", "four-2", **summary))
    (answer,) = await receipts(deployment, "lab-a", "four-2")
    assert json.loads(answer)["type"] == "herald.receipt.accepted.v1"
    await send(deployment, "releases.lab-a", statement("four", "four-3", trusted_partner_release_at=later, **summary))
    ends = await ended(deployment, release_id, 12)
    everywhere = [("agency-a", "desk"), ("agency-a", "thin"), ("agency-b", "desk"), ("agency-b", "lead")]
    everywhere += [("agency-c", "desk"), ("agency-c", "mail")]
    assert sorted((one["kind"], one["agency"], one["endpoint"]) for one in ends) == [
        (kind, *where) for kind in ("rescheduled", "scheduled") for where in everywhere
    ]
    told = [body["data"] for _, _, body in hooked.taken if body["data"].get("release_id") == release_id]
    assert sorted(one["kind"] for one in told) == ["rescheduled"] * 3 + ["scheduled"] * 3
    news = {one["alert_id"] for one in ends}
    assert len([one for one in mailed.ids() if one in news]) == 4
    told_of = [one["data"] for one in await deployment.events("announcements", 2)]
    (immaterial,) = [one for one in told_of if one.get("changed") == ["model"]]
    assert not immaterial["material"]
