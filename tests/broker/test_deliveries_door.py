"""`/v1/deliveries` on a real Kafka: an agency sees its own attempts, and has a delivery sent again by its id."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from schemas.delivery import DeliveryRequested, DeliveryRetried
from schemas.envelope import reader
from schemas.registry import Registry
from schemas.topics import DELIVERIES
from services.embedded.ports import free
from services.kernel.credential_log import issue
from services.kernel.registry_log import publish
from tests.broker.delivered import CONFIDENTIAL, FATES, HOOK, IDS, LETTERS, PARTITIONS, delivered
from tests.broker.deployment import Deployment
from tests.broker.doorway import DAY, Door
from tests.unit.endpoint_world import registry

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
DELIVERY = "/v1/deliveries/"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A door alone, in front of topics that hold deliveries."""
    folder, port = tmp_path_factory.mktemp("told"), free()
    env = {"HERALD_DOOR__PORT": str(port), "HERALD_DATA": str(folder / "data"), "HERALD_DOOR__BURST": "2000"}
    deployment = await delivered(kafka, "told.", folder, **env)
    try:
        (process,) = deployment.start("gateway.door")
        token = await issue(deployment.connection, "cisa", "a test", DAY, datetime.now(UTC))
        await deployment.ready()
        yield Door(deployment, process, f"http://127.0.0.1:{port}", {"cisa": token})
    finally:
        deployment.stop()


async def look(door: Door, path: str = "/v1/deliveries") -> Any:
    """What is shown there: never what an alert says."""
    found = await door.get("cisa", path)
    assert found.status_code == 200, found.text
    assert CONFIDENTIAL not in found.text
    return found.json()


async def asked(deployment: Deployment) -> list[Any]:
    """What the door has asked for."""
    records = await deployment.read("deliveries", PARTITIONS)
    events = [(one.key, reader(*DELIVERIES).validate_json(one.value, extra="ignore")) for one in records]
    assert all(key.decode() == event.data.subject() for key, event in events)
    return [event.data for _, event in events if event.source == "/services/door"]


async def audited(door: Door) -> list[tuple[str, str, str | None]]:
    """Who did what about which delivery."""
    entries = [event["data"] for event in await door.deployment.events("audit")]
    return [(entry["participant"], entry["action"], entry.get("target")) for entry in entries]


async def test_deliveries_are_paged_as_they_stand_and_filtered(door: Door) -> None:
    names = {delivery_id: name for name, delivery_id in IDS.items()}
    page: dict[str, Any] = {}
    found: list[dict[str, Any]] = []
    while not page or page["more"]:
        page = await look(door, f"/v1/deliveries?limit=4{'&after=' + page['cursor'] if page else ''}")
        found += page["deliveries"]
    assert len(found) == len(FATES)
    assert {names[one["delivery_id"]]: (one["status"], one["attempts"]) for one in found} == FATES
    assert (await look(door, f"/v1/deliveries?after={page['cursor']}"))["deliveries"] == []
    (late,) = (await look(door, "/v1/deliveries?status=failing&endpoint=hook"))["deliveries"]
    about = {name: late[name] for name in ("alert_id", "endpoint", "channel", "kind", "requested_at")}
    assert about == {
        "alert_id": LETTERS["late"].alert.alert_id,
        "endpoint": "hook",
        "channel": "webhook",
        "kind": "opened",
        "requested_at": "2026-03-01T12:00:00Z",
    }
    assert (late["last"]["reason"], late["last"]["answer"]) == ("server-error", "503")
    assert (await look(door, "/v1/deliveries?endpoint=desk"))["deliveries"] == []
    assert ("cisa", "delivery.read", None) in await audited(door)


async def test_one_is_shown_with_every_attempt(door: Door) -> None:
    lost = await look(door, DELIVERY + IDS["lost"])
    assert [(o["outcome"], o["reason"], o["abandoned_as"], o["seconds"], o["at"]) for o in lost["outcomes"]] == [
        ("abandoned", "gone", "refused", 0.1, "2026-03-01T12:00:01Z")
    ]
    assert (await look(door, DELIVERY + IDS["new"]))["outcomes"] == []


async def test_a_replay_asks_for_the_same_again_and_is_audited_first(door: Door) -> None:
    for name, kind in (("late", DeliveryRetried), ("got", DeliveryRequested), ("old", DeliveryRequested)):
        answer = await replay(door, name)
        assert (answer.status_code, answer.json()["delivery_url"]) == (202, DELIVERY + IDS[name])
        said = [one for one in await asked(door.deployment) if one.delivery_id == IDS[name]]
        assert [type(one) for one in said] == [kind]
        assert ("cisa", "delivery.retry", IDS[name]) in await audited(door)
    again = next(one for one in await asked(door.deployment) if one.delivery_id == IDS["got"])
    assert again == LETTERS["got"].model_copy(update={"requested_at": again.requested_at})
    async with asyncio.timeout(30):
        while (shown := await look(door, DELIVERY + IDS["got"]))["status"] != "pending":
            await asyncio.sleep(0.05)
    assert len(shown["outcomes"]) == shown["attempts"] == 1


async def test_what_an_endpoint_that_is_gone_was_told_is_shown_and_not_sent_again(door: Door) -> None:
    before = await asked(door.deployment)
    agency = registry().agencies["cisa"]
    others = {name: one for name, one in agency.endpoints.items() if name != HOOK["endpoint"]}
    update = {"version": 2, "namespace": "6d1f3c1e-6f0e-4b5c-9c39-1d0a5b1d7c55"}
    without: Registry = registry().model_copy(
        update={**update, "agencies": {"cisa": agency.model_copy(update={"endpoints": others})}}
    )
    await publish(door.deployment.connection, without, datetime.now(UTC))
    async with asyncio.timeout(30):
        while (answer := await replay(door, "lost")).status_code == 202:
            before = await asked(door.deployment)
            await asyncio.sleep(0.05)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:herald:problem:endpoint_gone")
    assert await asked(door.deployment) == before
    assert len((await look(door))["deliveries"]) == len(FATES)


async def replay(door: Door, name: str) -> httpx.Response:
    """One request."""
    return await door.post("cisa", f"{DELIVERY}{IDS[name]}/replay")
