"""Schemathesis over the whole description against a real door: whatever it is sent, it answers as described."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis

from schemas.delivery import delivery_id
from schemas.registry import Registry
from services.gateway.door.describe import OPENAPI
from tests.broker.doorway import Door, opened
from tests.broker.flow import registry
from tests.broker.scene import ENDPOINT, pushed, release
from tests.scale import LONG, scaled
from tests.unit import endpoint_world

LAB, AGENCY, NOBODY = "lab-a", "agency-a", "nobody"
CONFIG = {
    "generation": {
        "deterministic": True,
        "max-examples": scaled(20, 900),
        "database": "none",
        "allow-extra-parameters": False,  # a parameter that nobody knows is nothing to refuse
        "with-security-parameters": False,
    },
    # Boundary values of every parameter, thousands of requests: in the long run.
    "phases": {"coverage": {"enabled": LONG}, "fuzzing": {"extra-data-sources": {"responses": False}}},
    # What a schema cannot say, such as the order of dates, is refused all the same.
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422]}},
    "suppress-health-check": ["all"],
    "request-timeout": 60,
    "max-stream-events": 2,
}
api = schemathesis.openapi.from_path(OPENAPI, config=schemathesis.Config.from_dict(CONFIG))
UUID = r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"


@dataclass(slots=True)
class Known:
    """A door that never says «too many», and what is there, by the name of the parameter that asks for it."""

    door: Door
    session: requests.Session
    things: dict[str, str]
    asked: int = 0

    def headers(self, who: str) -> dict[str, str] | None:
        """What says who it is."""
        return {"Authorization": f"Bearer {self.door.tokens[who]}"} if who in self.door.tokens else None

    def aim(self, case: schemathesis.Case[Any]) -> None:
        """Every other well-formed id becomes one of something that is there."""
        for name, thing in self.things.items():
            given = case.path_parameters.get(name)
            well_formed = isinstance(given, str) and (name == "event_id" or re.fullmatch(UUID, given))
            if given and well_formed and ord(given[-1]) % 2 == 0:
                case.path_parameters[name] = thing


@pytest.fixture(scope="module")
def known(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """Three releases, of which one agency was told."""
    rates = {"HERALD_DOOR__BURST": "1000000", "HERALD_DOOR__REQUESTS_PER_SECOND": "1000000"}
    with asyncio.Runner() as runner, requests.Session() as session:
        folder = tmp_path_factory.mktemp("openapi")
        opening = opened(kafka, "openapi.", folder, _with_endpoints(), (LAB, AGENCY), **rates)
        door = runner.run(opening.__aenter__())
        try:
            yield Known(door, session, runner.run(_furnish(door)))
        finally:
            runner.run(opening.__aexit__(None, None, None))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("who", [LAB, AGENCY, NOBODY])
@api.parametrize()
def test_whatever_it_is_sent_the_door_answers_as_described(
    known: Known, who: str, case: schemathesis.Case[Any]
) -> None:
    known.asked += 1
    known.aim(case)
    _hurry(case)
    case.call_and_validate(base_url=known.door.address, session=known.session, headers=known.headers(who))


def test_that_was_asked_often_enough(known: Known) -> None:
    print(f"{known.asked} requests")
    assert known.asked >= scaled(400, 20_000)


def _with_endpoints() -> Registry:
    agencies = registry().agencies
    endpoints = endpoint_world.registry().agencies["cisa"].endpoints
    agency = agencies[AGENCY].model_copy(update={"endpoints": endpoints})
    return registry().model_copy(update={"agencies": {**agencies, AGENCY: agency}})


async def _furnish(door: Door) -> dict[str, str]:
    for number in range(3):
        key, said = {"Idempotency-Key": f"event-{number}"}, release(f"known-{number}", AGENCY)
        answer = await door.post(LAB, "/v1/releases?wait=30", json=said, headers=key)
        assert answer.status_code == 200, answer.text
    for _ in range(600):
        alerts = (await door.get(AGENCY, "/v1/alerts")).json()["alerts"]
        if len(alerts) == 3:
            first = alerts[0]["data"]
            await pushed(door, AGENCY)
            told = {"alert_id": first["alert_id"], "delivery_id": delivery_id(first["alert_id"], AGENCY, ENDPOINT)}
            return {"release_id": first["release_id"], "event_id": "event-0", **told}
        await asyncio.sleep(0.05)
    raise AssertionError("nobody was told")


def _hurry(case: schemathesis.Case[Any]) -> None:
    """Waits become short ones, and a stream begins where there is something to say."""
    try:
        if 0 < float(case.query.get("wait", 0)) <= 30:
            case.query["wait"] = 0.1
    except (TypeError, ValueError):
        pass
    if case.path.endswith("/stream"):
        if re.fullmatch(r"[0-9]{1,18}", str(case.headers.get("Last-Event-ID"))):
            case.headers["Last-Event-ID"] = "0"
        if re.match(r"20[0-9]{2}-", str(case.query.get("since"))):
            case.query["since"] = f"2000{case.query['since'][4:]}"
