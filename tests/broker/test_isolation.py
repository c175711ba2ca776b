"""Every identity on every route for everybody's objects: who may what is written down here, and nowhere else."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
import yaml

from services.gateway.door.app import routes
from services.gateway.door.describe import OPENAPI
from tests.broker.scene import AGENCIES, EVERYBODY, LABS, LEFT, NONE, Answer, Scene, release, staged
from tests.browser.test_console_access import addresses as console

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

Route = tuple[str, str]
CLOUD_EVENT = {"Content-Type": "application/cloudevents+json"}


class Row(NamedTuple):
    """One route. `names`: whose object a request names; `yes` where it is the sender's own, `no` for any other."""

    who: tuple[str, ...]
    names: str | None
    yes: int
    no: int = 404


TABLE: dict[Route, Row] = {
    ("POST", "/v1/releases"): Row(LABS, None, 202),
    ("GET", "/v1/releases/{release_id}"): Row(LABS, "release", 200),
    ("POST", "/v1/releases/{release_id}/withdrawal"): Row(LABS, "release", 202),
    ("POST", "/v1/events"): Row(EVERYBODY, "source", 202, no=403),
    ("GET", "/v1/receipts/{event_id}"): Row(EVERYBODY, "event", 200),
    ("GET", "/v1/alerts"): Row(AGENCIES, None, 200),
    ("GET", "/v1/alerts/stream"): Row(AGENCIES, None, 200),
    ("GET", "/v1/windows"): Row(AGENCIES, None, 200),
    ("POST", "/v1/alerts/{alert_id}/acknowledgement"): Row(AGENCIES, "alert", 202),
    ("POST", "/v1/alerts/{alert_id}/link"): Row(AGENCIES, "alert", 200),
    ("GET", "/v1/deliveries"): Row(AGENCIES, None, 200),
    ("GET", "/v1/deliveries/{delivery_id}"): Row(AGENCIES, "delivery", 200),
    ("POST", "/v1/deliveries/{delivery_id}/replay"): Row(AGENCIES, "delivery", 202),
}
ELSEWHERE = {("POST", "/v1/tokens"), ("GET", "/v1/calendar.ics")}
"""No token of this matrix opens or closes these; what does has a test of its own: `test_agencies` for the calendar."""
ACKNOWLEDGE = "/acknowledge/{token}"
UNDESCRIBED = {("GET", "/pages/page.css"), ("GET", ACKNOWLEDGE), ("POST", ACKNOWLEDGE), *console()}
"""Served to everybody: pages. `test_acknowledgement_link` says who opens the latter, `tests/browser` the operators'."""

VISIBLE = {
    "aurora": {"aurora", "only-cisa", "both", *AGENCIES, LEFT},
    "aurora-2": {"aurora-2", "only-ics", "cisa-ics"},
    "cisa": {"cisa", "aurora", "only-cisa", "both"},
    "cisa-ics": {"cisa-ics", "aurora", "aurora-2", "only-ics", "both"},
    LEFT: {LEFT},
}
"""Of the names of participants and releases, and of the ids that belong to these, what each may ever read."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """One scene for the tests of this file."""
    async with staged(kafka, tmp_path_factory.mktemp("isolation")) as scene:
        yield scene


async def test_each_route_that_is_described_or_served_stands_in_the_table_and_the_other_way_round() -> None:
    paths = yaml.safe_load(OPENAPI.read_text())["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == set(TABLE) | ELSEWHERE
    assert set(_served(routes().routes)) == described | UNDESCRIBED


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
async def test_everybody_gets_exactly_what_the_table_says(scene: Scene, route: Route) -> None:
    row = TABLE[route]
    for who in EVERYBODY:
        refusals = set()
        for owner in _owners(scene, route):
            own = who in row.who and owner in (who, None)
            answer = await _ask(scene, who, route, owner)
            assert answer.status == (403 if who not in row.who else row.yes if own else row.no), (who, owner, answer)
            assert scene.unseen(VISIBLE[who], answer) == [], (who, owner, answer)
            refusals |= set() if own else {answer}
        assert len(refusals) <= 1, f"{who} can tell another's from what is not there: {refusals}"


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
async def test_who_is_not_proven_gets_the_same_answer_whatever_is_asked_for(scene: Scene, route: Route) -> None:
    for who in sorted({*scene.knocks} - {*EVERYBODY}):
        answers = set(await asyncio.gather(*[_ask(scene, who, route, owner) for owner in _owners(scene, route)]))
        assert {answer.status for answer in answers} == {403 if who == LEFT else 401}, (who, answers)
        assert len(answers) == 1, (who, answers)
        assert scene.unseen(VISIBLE.get(who, ()), answers.pop()) == [], who


async def test_no_other_method_does_anything_anywhere(scene: Scene) -> None:
    methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
    for (_, path), row in TABLE.items():
        there = _named(scene, path, row.who[0])
        for method in methods - {method for method, other in TABLE if other == path}:
            for who in ("aurora", "cisa", "nobody"):
                answer = await scene.knock(who, method, there)
                assert (answer.status, scene.unseen((), answer)) == (405, []), (who, method, path, answer)


async def test_an_event_that_names_what_is_anothers_is_answered_like_one_that_names_nothing(scene: Scene) -> None:
    for who, kind, named in _reaches(scene):
        answers = []
        for number, data in enumerate(named):
            event = {"specversion": "1.0", "id": f"reach-{number}", "source": scene.objects["source"][who]}
            content = json.dumps(event | {"type": kind, "data": data})
            path = "/v1/events?wait=30"
            answers.append(await scene.knock(who, "POST", path, content=content, headers=CLOUD_EVENT))
        assert (len(set(answers)), answers[0].status) == (1, 404), answers


async def test_in_the_end_every_edge_holds_what_its_owner_said_and_nothing_else(scene: Scene) -> None:
    for who in (*EVERYBODY, LEFT):
        topic = f"{'releases' if who in LABS else 'acks'}.{who}"
        sources = Counter(event["source"] for event in await scene.door.deployment.events(topic))
        assert sources == {scene.objects["source"][who]: scene.said[who]}, who


async def test_in_the_end_only_whose_deliveries_they_are_have_had_them_sent_again(scene: Scene) -> None:
    events = await scene.door.deployment.events("deliveries", scene.door.deployment.partitions)
    asked = [(e["data"]["agency"], e["data"]["delivery_id"]) for e in events if e["source"] == "/services/door"]
    audit = [event["data"] for event in await scene.door.deployment.events("audit")]
    noted = [(entry["participant"], entry["target"]) for entry in audit if entry["action"] == "delivery.retry"]
    assert set(asked) <= set(scene.objects["delivery"].items())
    assert sorted(noted) == sorted(asked)


async def _ask(scene: Scene, who: str, route: Route, owner: str | None) -> Answer:
    """One request to a route, as somebody, that names what somebody owns."""
    method, path = route
    if path == "/v1/releases":
        return await scene.knock(who, method, path, json=release(f"one-more-of-{who}"))
    if path == "/v1/events":
        content = json.dumps(_event(scene, owner or NONE))
        return await scene.knock(who, method, path, content=content, headers=CLOUD_EVENT)
    body = {"disposition": "received"} if path.endswith("/acknowledgement") else None
    return await scene.knock(who, method, _named(scene, path, owner), json=body)


def _named(scene: Scene, path: str, owner: str | None) -> str:
    return re.sub(r"\{(\w+)_id\}", lambda kind: scene.objects[kind[1]][owner or NONE], path)


def _event(scene: Scene, owner: str) -> dict[str, Any]:
    source = scene.objects["source"][owner]
    event = {"specversion": "1.0", "id": "said-once", "source": source}
    if source.startswith("/labs/"):
        return event | {"type": "herald.release.announced.v1", "data": release("by-event")}
    data = {"alert_id": scene.objects["alert"][owner], "disposition": "received"}
    data["release_id"] = scene.objects["release"]["aurora" if owner == "cisa" else "aurora-2"]
    return event | {"type": "herald.acknowledgement.submitted.v1", "data": data}


def _owners(scene: Scene, route: Route) -> list[str | None]:
    names = TABLE[route].names
    return [None] if names is None else list(scene.objects[names])


def _reaches(scene: Scene) -> Iterator[tuple[str, str, list[dict[str, str]]]]:
    """Who, with what kind of event, naming which: another's things first, then what is not there."""
    alerts, releases = scene.objects["alert"], scene.objects["release"]
    for who, other, release_id in (
        ("cisa", "cisa-ics", releases["aurora-2"]),
        ("cisa-ics", "cisa", releases["aurora"]),
    ):
        ids = [(alerts[other], release_id), (alerts[NONE], release_id), (alerts[NONE], releases[NONE])]
        named = [{"alert_id": alert, "release_id": one, "disposition": "received"} for alert, one in ids]
        yield who, "herald.acknowledgement.submitted.v1", named
    for who, theirs in (("aurora", "only-ics"), ("aurora-2", "only-cisa")):
        yield who, "herald.release.withdrawn.v1", [{"reference": theirs}, {"reference": "never-announced"}]


def _served(found: list[Any]) -> Iterator[Route]:
    for route in found:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from _served(included.routes)
        else:
            path = route.path.replace(":path}", "}")
            yield from ((method, path) for method in route.methods if method != "HEAD")
