"""A deployment with something of everything on the operators' page: windows, answers, silence, deliveries, a drill."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.credential import OPERATORS, Role
from schemas.registry import Registry
from services.kernel.credential_log import Token, issue
from services.kernel.registry_log import publish
from tests.broker.deployment import Deployment
from tests.broker.doorway import DAY, Door, opened
from tests.broker.receivers import SECRET, Hooks
from tests.broker.telling import alert_of
from tests.simulation.world import NAMESPACE

ZONES = {"caisi": "America/New_York", "cisa": "America/New_York", "doe": "America/Denver", "treasury": "UTC"}
LABS = ("aurora-labs", "basalt-ai", "drill-desk")
NAMES = {
    "caisi": "Center for AI Standards and Innovation",
    "cisa": "Cybersecurity and Infrastructure Security Agency",
    "doe": "Department of Energy",
    "treasury": "Department of the Treasury",
}
HASTE = {"answer_within": "PT1S", "answer_within_soon": "PT1S"}
"""Under which silence is overdue at once."""


@dataclass(slots=True)
class Stage:
    """The deployment, tokens of both roles, and the releases by reference."""

    door: Door
    operators: dict[Role, Token]
    releases: dict[str, str]

    async def announce(self, lab: str, reference: str, **changes: Any) -> str:
        """A lab announces; its release's id."""
        answer = await self.door.post(lab, "/v1/releases?wait=20", json=release(reference, **changes))
        assert answer.status_code == 200, answer.text
        self.releases[reference] = str(answer.json()["data"]["release_id"])
        return self.releases[reference]

    async def answer(self, agency: str, reference: str, *said: str, kind: str = "scheduled") -> None:
        """An agency answers its alert."""
        alert = await alert_of(self.door, agency, self.releases[reference], kind)
        for one in said:
            path = f"/v1/alerts/{alert['id']}/acknowledgement?wait=20"
            answer = await self.door.post(agency, path, json={"disposition": one})
            assert answer.status_code == 200, answer.text


def release(
    reference: str, *, opens: timedelta, lasts: timedelta = timedelta(days=14), **changes: Any
) -> dict[str, Any]:
    """A release whose window opens so far from now."""
    at = datetime.now(UTC) + opens
    said = {
        "reference": reference,
        "model": {"name": "Halo", "version": "4"},
        "trusted_partner_release_at": (at + lasts).isoformat(),
        "early_access": {"opens": at.isoformat()},
        "audience": {"mode": "matching"},
        "tlp": "TLP:AMBER",
    }
    return said | changes


def registry(version: int, hooks: Hooks, **changes: Any) -> Registry:
    """The registry. Two agencies have webhooks; one of them takes nothing."""

    def desk(path: str) -> dict[str, Any]:
        return {"channel": "webhook", "tier": "watch", "url": f"{hooks.address}{path}", "secrets": ["env:DESK_SECRET"]}

    agencies: dict[str, Any] = {
        name: {"name": NAMES[name], "time_zone": zone, "exercises": name != "treasury"} for name, zone in ZONES.items()
    }
    agencies["caisi"]["endpoints"] = {"desk": desk("/caisi")}
    agencies["cisa"]["endpoints"] = {"desk": desk("/cisa")}
    agencies["treasury"]["interests"] = {"capabilities": ["financial-systems"]}
    said = {
        "version": version,
        "namespace": NAMESPACE,
        "applied_at": datetime.now(UTC).isoformat(),
        "labs": {lab: {"name": lab.replace("-", " ").title()} for lab in LABS},
        "agencies": agencies,
        "capabilities": {"financial-systems": "Acts on markets.", "cyber-offense": "Finds weaknesses in software."},
        "drills": {"lab": "drill-desk", "every": "P28D"},
        "allow_networks": ["127.0.0.0/8"],
    }
    return Registry.model_validate_json(json.dumps(said | changes))


@asynccontextmanager
async def staged(kafka: str, folder: Path, hooks: Hooks) -> AsyncIterator[Stage]:
    """The deployment, played until everything is there."""
    hooks.answer = lambda path: 503 if path == "/cisa" else 204
    everybody = (*LABS, *ZONES)
    env = {"DESK_SECRET": SECRET}
    async with opened(kafka, "browser.", folder, registry(1, hooks, policy=HASTE), everybody, **env) as door:
        door.deployment.start("deliveries")
        connection, now = door.deployment.connection, datetime.now(UTC)
        operators: dict[Role, Token] = {
            "viewer": await issue(connection, OPERATORS, "wall screen", DAY, now, role="viewer"),
            "operator": await issue(connection, OPERATORS, "night desk", DAY, now, role="operator"),
        }
        stage = Stage(door, operators, {})
        await _play(stage, hooks)
        await door.deployment.ready()
        yield stage


async def _play(stage: Stage, hooks: Hooks) -> None:
    hour, day = timedelta(hours=1), timedelta(days=1)
    await stage.announce("basalt-ai", "quarry-2", opens=9 * day, model={"name": "Quarry", "version": "2"})
    await stage.answer("caisi", "quarry-2", "received")
    overdue = stage.door.deployment.settled("acknowledgements", 2, 2)
    assert any("overdue" in one["type"] for one in await overdue)
    await publish(stage.door.deployment.connection, registry(2, hooks), datetime.now(UTC))
    finance = ["financial-systems"]
    listed = {"mode": "listed", "agencies": ["cisa", "doe"]}
    drill = {"exercise": True, "model": {"name": "A drill"}, "lasts": 3 * hour}
    mini = {"capabilities": finance, "model": {"name": "Halo mini"}}
    await asyncio.gather(
        stage.announce("aurora-labs", "halo-4", opens=-2 * hour, lasts=12 * day, capabilities=finance, tlp="TLP:RED"),
        stage.announce("aurora-labs", "halo-mini", opens=21 * day, **mini),
        stage.announce("basalt-ai", "monolith-1", opens=2 * day, audience=listed, model={"name": "Monolith"}),
        stage.announce("basalt-ai", "pebble-1", opens=-2 * hour, audience=listed, model={"name": "Pebble"}),
        stage.announce("drill-desk", "drill-1", opens=-hour, **drill),
    )
    await asyncio.gather(
        stage.answer("caisi", "halo-4", "participating", kind="opened"),
        stage.answer("cisa", "halo-4", "received", kind="opened"),
        stage.answer("doe", "halo-4", "declined", kind="opened"),
        stage.answer("cisa", "monolith-1", "participating"),
        stage.answer("cisa", "drill-1", "received", kind="opened"),
        _unreadable(stage.door.deployment),
    )
    await stage.door.post("basalt-ai", f"/v1/releases/{stage.releases['pebble-1']}/withdrawal?wait=20")
    await alert_of(stage.door, "doe", stage.releases["pebble-1"], "withdrawn")


async def _unreadable(deployment: Deployment) -> None:
    producer = deployment.connection.producer()
    await producer.start()
    await producer.send_and_wait(deployment.connection.topic("releases.drill-desk"), b"\xff no event")
    await producer.stop()
    while not await deployment.read("dead-letters", 2):
        await asyncio.sleep(0.1)
