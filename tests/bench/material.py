"""What is fed to the contestants: the records that Herald's own services would have written, made by their deciders."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from schemas.command import State
from schemas.registry import Registry
from schemas.values import rfc3339
from services.announcements.app import SERVICE as ANNOUNCEMENTS
from services.gateway.app import SERVICE as GATEWAY
from services.kernel.draft import Output
from services.kernel.inbox import Item
from services.kernel.ledger import Ledger
from services.kernel.service import Service
from services.kernel.state import Restored
from services.windows.app import SERVICE as WINDOWS
from tests.simulation.world import START

LAB = "lab"
REVISIONS = 10
"""Statements a release."""


def registry(agencies: int, labs: int = 1) -> Registry:
    """So many agencies that take everything, and one lab, or so many numbered ones."""
    return Registry.model_validate_json(
        json.dumps(
            {
                "version": 1,
                "namespace": "6d1f3c1e-6f0e-4b5c-9c39-1d0a5b1d7c55",
                "labs": {name: {"name": "Lab"} for name in ([LAB] if labs == 1 else map("lab-{}".format, range(labs)))},
                "agencies": {f"agency-{n}": {"name": f"Agency {n}"} for n in range(agencies)},
            }
        )
    )


FAR = datetime(2099, 1, 31, tzinfo=UTC)
"""A release that no clock here reaches."""


def statement(number: int, releases: int, first: int = 0, lab: str = LAB, out_at: datetime = FAR) -> bytes:
    """One event of a lab, about 1 KB: releases take turns from `first` on; each revision changes what is material."""
    data = {
        "reference": f"m-{first + number % releases}",
        "model": {"name": "Model", "version": "3.1", "summary": "A model that plans and acts over days."},
        "capabilities": [],
        "trusted_partner_release_at": rfc3339(out_at),
        "early_access": {"opens": "P14D", "access": {"how": "A private endpoint, one account an agency."}},
        "audience": {"mode": "matching"},
        "handling": f"Statement {number}. " + "For the evaluation teams alone, not to be forwarded. " * 8,
    }
    event = {"specversion": "1.0", "id": f"e-{number}", "type": "herald.release.announced.v1", "data": data}
    return json.dumps(event | {"source": f"/labs/{lab}"}).encode()


def records(topic: str, count: int, agencies: int = 1, turn: int = 0) -> list[Output]:
    """What so many statements lead to in an internal topic (`releases`, `announcements`, `windows`).

    Each turn has releases of its own.
    """
    known, releases = registry(agencies), max(1, count // REVISIONS)
    found = [Output(f"releases.{LAB}", b"", statement(n, releases, turn * releases)) for n in range(count)]
    for service, written in ((GATEWAY, "releases"), (ANNOUNCEMENTS, "announcements"), (WINDOWS, "windows")):
        found = [output for output in _decided(service, known, found) if output.topic == written]
        if written == topic:
            return found
    raise ValueError(topic)


def _decided(service: Service, known: Registry, inputs: list[Output], at: datetime = START) -> list[Output]:
    ledger, written = Ledger(service, 0, Restored()), []
    ledger.registry = known
    for offset, given in enumerate(inputs):
        item = Item(given.topic, 0, offset, at, given.key, given.value)
        ledger.take(item)
        written += ledger.draft.outputs
        ledger.confirm()
    return written


def state(service: Service) -> State:
    """What a service keeps of one live release."""
    before = {"windows": "announcements", "announcements": "releases"}[service.name]
    ledger = Ledger(service, 0, Restored())
    ledger.registry = registry(1)
    (given,) = records(before, 1)
    ledger.take(Item(given.topic, 0, 0, START, given.key, given.value))
    (kept,) = ledger.draft.states.values()
    assert kept is not None
    return kept


def kept(service: Service, states: Mapping[str, State]) -> list[Output]:
    """The records of states, as a shard of the service writes them."""
    ledger = Ledger(service, 0, Restored())
    ledger.draft.states |= states
    return ledger.closing_records()[:-1]


def renamed(record: Output, key: bytes, event_id: UUID) -> bytes:
    """The same event of another release, under another id."""
    value = record.value or b""
    before = json.loads(value)["id"]
    return value.replace(record.key, key).replace(before.encode(), str(event_id).encode())
