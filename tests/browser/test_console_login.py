"""Logging in to the operators' page by a login service: who is let in as what, and what of it is refused."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from services.embedded.ports import free
from tests.broker.deployment import Deployment
from tests.broker.doorway import Door
from tests.broker.issuer import FOREIGN, Answer, issuing
from tests.browser.login_service import CLIENT, SECRET, LoginService
from tests.browser.test_console_access import Guest
from tests.simulation.world import registry

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def service() -> Iterator[LoginService]:
    """The operators' login service."""
    with issuing(kind=LoginService) as (found,):
        assert isinstance(found, LoginService)
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(kafka: str, service: LoginService, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A door that knows it."""
    folder, port = tmp_path_factory.mktemp("login"), free()
    (folder / "secret").write_text(f"{SECRET}\n")
    env = {"HERALD_DOOR__PORT": str(port), "HERALD_DATA": str(folder / "data"), "HERALD_DOOR__BURST": "2000"}
    env |= {"HERALD_DOOR__OIDC_ISSUER": service.address, "HERALD_DOOR__OIDC_CLIENT_ID": CLIENT}
    env |= {"HERALD_DOOR__OIDC_CLIENT_SECRET_FILE": str(folder / "secret")}
    deployment = Deployment(kafka, "login.", folder, partitions=2, env=env)
    try:
        await deployment.prepare(registry())
        (process,) = deployment.start("gateway.door")
        await deployment.ready()
        yield Door(deployment, process, f"http://127.0.0.1:{port}", {})
    finally:
        deployment.stop()


@pytest.fixture(autouse=True)
def straight(service: LoginService) -> None:
    """Each test begins with somebody who may act, and a service that does as it would."""
    service.who, service.bends = {"sub": "somebody", "roles": ["herald-operator"]}, {}
    service.answers.clear()


async def there(guest: Guest, service: LoginService, wanted: str = "/console") -> str:
    """To the login service, and back: the address to which it sends the browser."""
    begun = await guest.get("/console/login/service", params={"next": wanted})
    assert (begun.status_code, begun.headers["location"].startswith(f"{service.address}/authorize?")) == (303, True)
    async with httpx.AsyncClient() as browser:
        back = (await browser.get(begun.headers["location"])).headers["location"]
    return f"{urlsplit(back).path}?{urlsplit(back).query}"


async def test_who_has_a_role_there_is_let_in_as_that_and_gets_where_it_was_going(
    door: Door, service: LoginService
) -> None:
    for roles, role in ((["other", "herald-operator"], "operator"), ("herald-viewer", "viewer")):
        service.who = {"sub": "somebody", "roles": roles}
        guest = Guest(door)
        asked = await guest.get("/console/login?next=/console/drills")
        assert "/console/login/service?next=/console/drills" in asked.text
        answer = await guest.get(await there(guest, service, "/console/drills"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/drills")
        assert f"<strong>{role}</strong>" in (await guest.get("/console/drills")).text
        assert (await guest.send("/console", "/console/logout")).status_code == 303
        assert (await guest.get("/console/drills")).status_code == 303
    entries = [one["data"] for one in await door.deployment.events("audit")]
    logins = [one for one in entries if one["action"] == "console.login"]
    assert [one["target"] for one in logins] == ["operator", "viewer"]
    assert re.fullmatch(r"oidc/[0-9a-f]{12}", logins[0]["credential"])
    assert logins[0]["credential"] == logins[1]["credential"]
    log = door.process.log.read_text()
    assert not [one for one in (*service.issued, SECRET, "somebody") if one in log]


@pytest.mark.parametrize(
    ("who", "bends", "said"),
    [
        ({"roles": ["nobody"]}, {}, "gives you no role here"),
        ({"roles": None}, {}, "gives you no role here"),
        ({"roles": {"herald-operator": True}}, {}, "gives you no role here"),
        ({}, {"aud": "another"}, "for somebody else"),
        ({}, {"aud": [CLIENT, "another"], "azp": "another"}, "issued to somebody else"),
        ({}, {"nonce": "another"}, "of another login"),
        ({}, {"nonce": None}, "of another login"),
        ({}, {"sub": None}, "of nobody"),
        ({}, {"iss": "https://another.example"}, "of another issuer"),
        ({}, {"exp": 1}, "has expired"),
        ({}, {"key": FOREIGN}, "signature"),
    ],
)
async def test_what_the_service_says_of_somebody_must_hold_in_every_part(
    door: Door, service: LoginService, who: dict[str, Any], bends: dict[str, Any], said: str
) -> None:
    service.who, service.bends = service.who | who, bends
    guest = Guest(door)
    answer = await guest.get(await there(guest, service))
    assert (answer.status_code, said in answer.text) == (403, True), answer.text
    assert (await guest.get("/console")).status_code == 303


async def test_an_answer_is_taken_once_in_the_browser_that_asked_and_in_no_other(
    door: Door, service: LoginService
) -> None:
    guest, other = Guest(door), Guest(door)
    back = await there(guest, service)
    assert (await other.get(back)).status_code == 403  # whoever it was sent to
    await there(other, service)
    assert (await other.get(back)).status_code == 403  # though that one is logging in, too
    state = parse_qs(urlsplit(back).query)["state"][0]
    assert (await other.get(f"/console/login/callback?state={state}&code=x")).status_code == 403
    cookies = dict(guest.client.cookies)
    assert (await guest.get(back)).status_code == 303
    again = Guest(door)
    again.client.cookies.update({name: value for name, value in cookies.items() if name == "herald_attempt"})
    assert (await again.get(back)).status_code == 503  # the service takes a code once
    assert (await again.get("/console")).status_code == 303


async def test_a_service_that_does_not_answer_lets_nobody_in_and_tokens_still_do(
    door: Door, service: LoginService
) -> None:
    guest = Guest(door)
    answers: tuple[Answer, ...] = ((500, {}, b""), (200, {}, b"[]"), (200, {}, b"{}"))
    for answer in answers:
        back = await there(guest, service)
        service.answers["/token"] = answer
        found = await guest.get(back)
        assert found.status_code in {403, 503}
        assert (await guest.get("/console")).status_code == 303
        service.answers.clear()
    refused = await guest.get("/console/login/callback?error=access_denied&state=x")
    assert (refused.status_code, 'name="token"' in refused.text) == (403, True)
