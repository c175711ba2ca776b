"""Who is let in to the operators' page, to do what, for how long; and what of it is written down."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from schemas.credential import OPERATORS, Role
from services.cli.main import command_line
from services.embedded.ports import free
from services.gateway.door.app import routes
from services.kernel.credential_log import Token, issue, issued, revoke
from tests.broker.deployment import Deployment
from tests.broker.doorway import DAY, TLS, Door
from tests.broker.lives import write
from tests.broker.test_audit import largest
from tests.simulation.world import World, registry

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
OPEN = {
    *("/console/login", "/console/login/service", "/console/login/callback"),
    *("/console/static/{name}", "/console/logout", "/console/theme"),
}
"""What serves whoever is not let in."""


class Guest:
    """Somebody's browser, as far as cookies and forms go."""

    def __init__(self, door: Door) -> None:
        self.client = httpx.AsyncClient(base_url=door.address, timeout=40, verify=TLS)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """A look."""
        return await self.client.get(path, **more)

    async def send(self, page: str, path: str, **fields: str) -> httpx.Response:
        """A form of a page, sent."""
        found = re.search(r'name="seal" value="(\w+)"', (await self.get(page)).text)
        assert found is not None
        return await self.client.post(path, data={"seal": found[1]} | fields)

    async def log_in(self, token: object, **fields: str) -> httpx.Response:
        """By a token."""
        return await self.send("/console/login", "/console/login", token=str(token), **fields)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A door alone, and topics that hold the life of a release."""
    folder, port = tmp_path_factory.mktemp("access"), free()
    env = {"HERALD_DOOR__PORT": str(port), "HERALD_DATA": str(folder / "data"), "HERALD_DOOR__BURST": "2000"}
    deployment = Deployment(kafka, "access.", folder, partitions=2, env=env)
    try:
        await deployment.prepare(registry())
        world = World()
        await write(deployment.connection, world.announce(handling="=HYPERLINK(1)").answer("all").until(3))
        (process,) = deployment.start("gateway.door")
        tokens = {"all": await issue(deployment.connection, "all", "an agency's", DAY, datetime.now(UTC))}
        await deployment.ready()
        yield Door(deployment, process, f"http://127.0.0.1:{port}", tokens)
    finally:
        deployment.stop()


async def token(door: Door, role: Role, lasts: timedelta = DAY) -> Token:
    """A token of this role."""
    return await issue(door.deployment.connection, OPERATORS, "a test", lasts, datetime.now(UTC), role=role)


async def inside(door: Door, role: Role = "operator") -> Guest:
    """Somebody who is let in."""
    guest = Guest(door)
    answer = await guest.log_in(await token(door, role))
    assert (answer.status_code, answer.headers["location"]) == (303, "/console"), answer.text
    return guest


async def released(guest: Guest) -> str:
    """The id of the release that there is."""
    found = re.search(r"/console/releases/([0-9a-f-]{36})", (await guest.get("/console?status=all")).text)
    assert found is not None
    return found[1]


def addresses() -> set[tuple[str, str]]:
    """Every route of the page, by method."""
    found, waiting = set(), list(routes().routes)
    while waiting:
        route: Any = waiting.pop()
        if (included := getattr(route, "original_router", None)) is not None:
            waiting += included.routes
        elif route.path.startswith("/console"):
            found |= {(method, route.path) for method in route.methods if method != "HEAD"}
    return found


@pytest.mark.parametrize(("method", "path"), sorted(addresses()), ids=str)
async def test_who_is_not_let_in_sees_no_page_and_no_form_is_taken_of_another_site(
    door: Door, method: str, path: str
) -> None:
    there = re.sub(r"\{\w+\}", "2f6c1e9a-0000-5000-8000-000000000000", path)
    stranger, guest = Guest(door), await inside(door)
    if path not in OPEN:
        answer = await stranger.client.request(method, there)
        assert answer.status_code == (401 if path.endswith("/live") else 303), answer.text
        assert answer.headers.get("location", "/console/login").startswith("/console/login")
    if method == "POST":
        for forged in ({}, {"seal": ""}, {"seal": "0" * 64}):
            assert (await guest.client.post(there, data={"text": "x", **forged})).status_code == 403
            assert (await stranger.client.post(there, data={"text": "x", **forged})).status_code in {303, 403}
        other = {"sec-fetch-site": "cross-site"}
        assert (await guest.client.post(there, data={"seal": "0" * 64}, headers=other)).status_code == 403


async def test_a_viewer_looks_at_everything_and_acts_on_nothing(door: Door) -> None:
    viewer, operator = await inside(door, "viewer"), await inside(door)
    acts = sorted(path for method, path in addresses() if method == "POST" and path not in {*OPEN, "/console/search"})
    assert acts == ["/console/dead-letters/{letter_id}/replay", "/console/deliveries/{delivery_id}/retry"]
    for path in acts:
        there = path.format(letter_id="0-99", delivery_id="2f6c1e9a-0000-5000-8000-000000000000")
        refused = await viewer.send("/console", there, mended="yes")
        assert (refused.status_code, "needs the role operator" in refused.text) == (403, True)
        assert (await operator.send("/console", there, mended="yes")).status_code == 404  # there is none


async def test_only_an_operators_token_opens_the_page_and_it_opens_nothing_else(door: Door) -> None:
    guest, mine = Guest(door), await token(door, "viewer")
    for wrong in (door.tokens["all"], f"{mine}x", "herald_x_y", ""):
        assert (await guest.log_in(wrong)).status_code == 403, wrong
        assert (await guest.get("/console")).status_code == 303
    assert (await guest.log_in(f" {mine} ")).status_code == 303
    cookie = next(one for one in guest.client.cookies.jar if one.name == "herald_session")
    assert (cookie.path, cookie.has_nonstandard_attr("HttpOnly")) == ("/console", True)
    assert mine.secret not in str(cookie.value)
    for path in ("/v1/alerts", "/v1/windows"):
        answer = await httpx.AsyncClient(verify=TLS).get(
            f"{door.address}{path}", headers={"Authorization": f"Bearer {mine}"}
        )
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:herald:problem:wrong_scope")
    assert (await guest.get(f"/v1/calendar.ics?token={mine}")).status_code == 403
    assert mine.secret not in door.process.log.read_text()


async def test_an_operator_issues_lists_and_revokes_tokens_of_either_role_on_the_command_line(door: Door) -> None:
    kafka = {"BOOTSTRAP_SERVERS": door.deployment.bootstrap_servers, "TOPIC_PREFIX": "access."}
    env = {f"HERALD_KAFKA__{name}": value for name, value in kafka.items()}

    async def run(*arguments: str, code: int = 0) -> str:
        done = await asyncio.to_thread(lambda: CliRunner().invoke(command_line(), ["tokens", *arguments], env=env))
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout if code == 0 else str(done.exception)

    said = json.loads(await run("issue", "--role", "viewer", "--name", "wall screen", "--json"))
    assert said["role"] == "viewer"
    guest = Guest(door)
    assert (await guest.log_in(said["token"])).status_code == 303
    listed = [json.loads(line) for line in (await run("list", "--json")).splitlines()]
    assert [(one["role"], one["name"]) for one in listed if one["token_id"] == said["token_id"]] == [
        ("viewer", "wall screen")
    ]
    await run("revoke", said["token_id"])
    while (await guest.get("/console")).status_code != 303:
        await asyncio.sleep(0.05)
    for wrong in (("issue", "--name", "x"), ("issue", "all", "--role", "viewer", "--name", "x")):
        assert "one of both" in await run(*wrong, code=1)
    scoped = ("issue", "--role", "viewer", "--scope", "calendar", "--name", "x")
    assert "--scope" in await run(*scoped, code=1)
    audit = [one["data"] for one in await door.deployment.events("audit")]
    assert ("token.issue", "operator") in [(one["action"], one.get("target")) for one in audit]


async def test_who_comes_from_a_link_gets_there_and_never_to_another_site(door: Door) -> None:
    mine = await token(door, "viewer")
    asked = await Guest(door).get("/console/deliveries?status=failing")
    assert asked.headers["location"] == "/console/login?next=%2Fconsole%2Fdeliveries%3Fstatus%3Dfailing"
    for wanted, got in (
        ("/console/deliveries?status=failing", "/console/deliveries?status=failing"),
        ("https://evil.example", "/console"),
        ("//evil.example", "/console"),
        ("/console/../v1/alerts\r\nx: y", "/console"),
        ("/consoles", "/console"),
        ("/console/\\evil.example", "/console"),
    ):
        assert (await Guest(door).log_in(mine, next=wanted)).headers["location"] == got


async def test_a_session_ends_with_its_token_and_so_does_what_it_has_open(door: Door) -> None:
    guest, mine = Guest(door), await token(door, "operator")
    await guest.log_in(mine)
    assert (await guest.get("/console")).status_code == 200
    async with guest.client.stream("GET", "/console/live") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 1000"
        await revoke(
            door.deployment.connection, (await issued(door.deployment.connection))[mine.token_id], datetime.now(UTC)
        )
        async with asyncio.timeout(20):
            async for _ in lines:  # it ends
                pass
    assert (await guest.get("/console")).status_code == 303


async def test_whoever_logs_out_is_out_though_the_cookie_was_copied(door: Door) -> None:
    guest, thief = await inside(door), Guest(door)
    thief.client.cookies = httpx.Cookies(guest.client.cookies)
    assert (await thief.get("/console")).status_code == 200
    assert (await guest.send("/console", "/console/logout")).headers["location"] == "/console/login"
    assert (await guest.get("/console")).status_code == 303
    assert (await thief.get("/console")).status_code == 303
    tampered = Guest(door)
    tampered.client.cookies.set("herald_session", "x.y.z", domain="127.0.0.1", path="/console")
    assert (await tampered.get("/console")).status_code == 303


async def test_each_look_at_what_a_release_says_is_written_down_before_it_is_shown(door: Door) -> None:
    guest, mine = Guest(door), await token(door, "viewer")
    await guest.log_in(mine)
    release_id = await released(guest)
    before = len(await door.deployment.events("audit"))
    looks = [
        ("/console?status=all", "window.read"),
        ("/console/windows.csv?status=all", "window.read"),
        (f"/console/releases/{release_id}", "release.read"),
        (f"/console/releases/{release_id}/story.csv", "release.read"),
    ]
    ids = [(await guest.get(path)).headers["x-request-id"] for path, _ in looks]
    ids.append((await guest.send("/console/login", "/console/search", text="lab")).headers["x-request-id"])
    entries = [one["data"] for one in await door.deployment.events("audit")][before:]
    assert [(one["action"], one["request_id"]) for one in entries] == [
        *[(action, request_id) for (_, action), request_id in zip(looks, ids, strict=False)]
    ]
    assert {one["credential"] for one in entries} == {f"token/{mine.token_id}"}
    assert {release_id in one["release_ids"] for one in entries} == {True}
    assert not any("participant" in one for one in entries)
    login = [one["data"] for one in await door.deployment.events("audit") if one["data"]["action"] == "console.login"]
    assert (login[-1]["credential"], login[-1]["target"]) == (f"token/{mine.token_id}", "viewer")


async def test_a_story_as_a_table_runs_no_formula_and_addresses_hold_no_reference(door: Door) -> None:
    guest = await inside(door)
    page = (await guest.get("/console?status=all")).text
    name = re.search(r"releases/[0-9a-f-]+\">lab/([\w.-]+)<", page)
    assert name is not None
    table = (await guest.get("/console/windows.csv?status=all")).text
    assert f"lab/{name[1]}" in table
    assert not [cell for line in table.splitlines() for cell in line.split(",") if cell.startswith(tuple("=+-@"))]
    links = re.findall(r'(?:href|action)="([^"]*)"', page)
    assert not [link for link in links if name[1] in link]
    found = await guest.send("/console", "/console/search", text=f"lab/{name[1]}")
    assert found.headers["location"] == f"/console/releases/{await released(guest)}"
    assert name[1] not in door.process.log.read_text()


async def test_pages_say_no_as_pages_and_are_strict_with_browsers(door: Door) -> None:
    guest = await inside(door)
    unknown = await guest.get("/console/releases/2f6c1e9a-0000-5000-8000-000000000000")
    assert (unknown.status_code, "No release has this id" in unknown.text) == (404, True)
    assert (await guest.get("/console/nothing")).status_code == 404
    assert (await guest.get("/console/releases/x")).status_code == 422
    assert (await guest.get("/console?status=any")).status_code == 422
    policy = unknown.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none';")
    assert not re.findall(r"\son\w+=|<script>|<style|style=", unknown.text)


async def test_what_cannot_be_written_down_is_not_shown_and_nobody_is_let_in(door: Door) -> None:
    guest, mine = await inside(door), await token(door, "viewer")
    release_id = await released(guest)
    await asyncio.to_thread(largest, door, 100)  # no record is as small as that
    try:
        for path in ("/console?status=all", "/console/windows.csv?status=all", f"/console/releases/{release_id}"):
            answer = await guest.get(path)
            assert answer.status_code == 503, path
            assert "lab/" not in answer.text.replace('placeholder="lab/reference', "")
        stranger = Guest(door)
        assert (await stranger.log_in(mine)).status_code == 503
        assert (await stranger.get("/console")).status_code == 303
    finally:
        await asyncio.to_thread(largest, door, 1024 * 1024)
    assert (await guest.get(f"/console/releases/{release_id}")).status_code == 200
