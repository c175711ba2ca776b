"""Writes `schemas/examples`: one event of every type, taken from a life of a release. Part of `make schemas`.

Usage: python -m tests.contract.examples
"""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from schemas.alert import AlertIssued
from schemas.audit import AccessAudited
from schemas.credential import CredentialIssued, CredentialRevoked, LinksRevoked
from schemas.envelope import Data, derived_id, encode
from schemas.heartbeat import HeartbeatBeat
from schemas.topics import EVENTS
from tests.contract.example_deliveries import deliveries, with_endpoints
from tests.simulation.world import World, at, registry

WHEN = datetime(2027, 3, 1, tzinfo=UTC)
OUTSIDE = (
    CredentialIssued(
        token_id="5f0c1d2e3a4b",
        participant="lab",
        name="release pipeline",
        secret_sha256=sha256(b"shown once").hexdigest(),
        issued_at=WHEN,
        expires_at=WHEN + timedelta(days=90),
    ),
    CredentialRevoked(token_id="5f0c1d2e3a4b", participant="lab", revoked_at=WHEN + timedelta(days=7)),
    AccessAudited(
        action="alert.read",
        participant="all",
        credential="token/5f0c1d2e3a4b",
        request_id="0b6a4c1e-8a2f-4f0e-9f0c-2d7f3a1b5c6d",
        release_ids=(derived_id("example release"),),
        alert_ids=(derived_id("example alert"),),
        at=WHEN,
    ),
    LinksRevoked(participant="all", revoked_at=WHEN + timedelta(days=7)),
)
"""What operators and the door do, which is in no life of a release."""

EXAMPLES = Path(__file__).resolve().parents[2] / "schemas" / "examples"


def life() -> World:
    """A life in which every event happens."""
    world = World()
    access = {"how": "An isolated endpoint, arranged person to person.", "contact": "early-access@lab.example"}
    offer = {"opens": "P14D", "access": access}
    world.announce(early_access=offer, handling="For the watch desk.", event_id="release-17").answer("cyber")
    world.announce(early_access=offer, handling="For the watch desk.").until(5)
    world.announce(trusted_partner_release_at=at(32), early_access=offer).until(20).answer("all", "participating")
    world.until(40).announce(reference="m-2", early_access=None).announce(reference="m-3").withdraw(reference="m-3")
    return world.send("releases.lab", "/labs/other", "release.withdrawn", {"reference": "m-2"})


def _said(source: str, when: datetime, data: Data) -> str:
    stamped = data.stamped(cause=derived_id("example"), ordinal=0, source=source, time=when)
    return json.dumps(json.loads(encode(stamped)), indent=2, ensure_ascii=False) + "\n"


def examples() -> dict[Path, str]:
    """The first event of each type."""
    world = life()
    found: dict[str, str] = {}
    for topic, records in sorted(world.logs.items()):
        for record in records if not topic.startswith(("state.", "dead")) else ():
            event = json.loads(record.value or b"{}")
            found.setdefault(event["type"], json.dumps(event, indent=2, ensure_ascii=False) + "\n")
    first = AlertIssued.model_validate_json(json.dumps(world.alerts("all")[0]))
    outside: list[tuple[str, datetime, Data]] = [("/services/operator", WHEN, data) for data in OUTSIDE]
    alive = HeartbeatBeat(
        beat_at=WHEN, next_by=WHEN + timedelta(minutes=3), last_success_at=WHEN - timedelta(minutes=2)
    )
    outside.append(("/services/watchdog", WHEN, alive))
    applied = [("/services/registry", WHEN, with_endpoints(registry(), WHEN))]
    for source, when, data in (*outside, *applied, *deliveries(first)):
        found[data.type] = _said(source, when, data)
    missing = {data.type for data in EVENTS} - found.keys()
    assert not missing, f"no example of {sorted(missing)}"
    return {EXAMPLES / f"{kind}.json": text for kind, text in found.items()}


def main() -> None:
    """Writes them."""
    EXAMPLES.mkdir(exist_ok=True)
    for path, text in examples().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
