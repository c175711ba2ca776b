"""The acknowledgement link on a real Kafka: opening it changes nothing, its button answers, and it can be ended."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.kernel.link import LASTS, Link, read, written
from tests.broker.doorway import Door, opened
from tests.broker.flow import AGENCIES, registry, release
from tests.broker.telling import alert_of, announce, told
from tests.broker.test_embedded import herald

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

HANDLING = 'Read <script>alert("this")</script> & pass it on to nobody.'
KEY = b"0123456789abcdef0123456789abcdef"
STRICT = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """One deployment for the tests of this file."""
    folder = tmp_path_factory.mktemp("link")
    key = folder / "link.key"
    key.write_bytes(KEY)
    env = {"HERALD_DOOR__LINK_KEY_FILE": str(key)}
    async with opened(kafka, "link.", folder, registry(), ("lab-a", "lab-b", *AGENCIES), **env) as door:
        yield door


async def linked(door: Door, alert: dict[str, Any], agency: str = "agency-a") -> str:
    """A link to an alert, as its agency has it made."""
    made = await door.post(agency, f"/v1/alerts/{alert['id']}/link")
    assert made.status_code == 200, made.text
    return str(made.json()["url"])


async def answers(door: Door, agency: str, release_id: str) -> list[dict[str, Any]]:
    """What an agency has said about a release, as it stands in Kafka."""
    said = [one["data"] for one in await door.deployment.events(f"acks.{agency}")]
    return [one for one in said if one["release_id"] == release_id]


async def press(url: str, **form: str) -> httpx.Response:
    """What the page's button sends."""
    async with httpx.AsyncClient(timeout=40) as client:
        page = (await client.get(url)).text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)">', page))
        return await client.post(url, data=hidden | form)


async def fetch(method: str, url: str, **more: Any) -> httpx.Response:
    """One request of who has nothing but an address."""
    async with httpx.AsyncClient(timeout=40) as client:
        return await client.request(method, url, **more)


async def test_opening_a_link_shows_the_window_and_changes_nothing(door: Door) -> None:
    release_id = await announce(door, "shown", handling=HANDLING)
    alert = await alert_of(door, "agency-a", release_id)
    url = await linked(door, alert)
    assert url.startswith(f"{door.address}/acknowledge/")
    page = await fetch("GET", url)
    assert page.status_code == 200
    assert {name: page.headers[name] for name in STRICT} == STRICT
    for said in ("Early access is planned", "Saturday 17 January 2099, 00:00 UTC", "TLP:AMBER+STRICT", "shown"):
        assert said in page.text, said
    assert "An acknowledgement is not an approval." in page.text
    assert "&lt;script&gt;alert" in page.text
    assert not re.search(r"<script|<style| style=| on\w+=", page.text)
    for method in ("HEAD", "OPTIONS", "GET", "PUT", "DELETE"):
        other = await fetch(method, url)
        assert other.status_code == (200 if method in {"HEAD", "GET"} else 405), method
        assert method != "HEAD" or not other.content
    style = await fetch("GET", f"{door.address}/pages/page.css")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert await answers(door, "agency-a", release_id) == []


async def test_who_makes_a_link_opens_it_or_presses_its_button_is_audited(door: Door) -> None:
    alert = await told(door, "agency-a", "audited")
    url = await linked(door, alert)
    await fetch("GET", url)
    await press(url, disposition="received")
    await fetch("GET", url[:-1])
    entries = [one["data"] for one in await door.deployment.events("audit")]
    mine = [one for one in entries if alert["id"] in one.get("alert_ids", ())]
    token, link = f"token/{door.tokens['agency-a'].token_id}", f"link/{alert['id']}"
    done = [(one["action"], one["credential"]) for one in mine]
    assert [one for one in done if one != ("alert.read", token)] == [
        ("link.make", token),
        ("alert.read", link),
        ("alert.read", link),
        ("alert.acknowledge", link),
    ]
    assert {one["participant"] for one in mine} == {"agency-a"}


async def test_its_button_answers_and_a_second_click_is_harmless(door: Door) -> None:
    release_id = await announce(door, "pressed")
    alert = await alert_of(door, "agency-a", release_id)
    url = await linked(door, alert)
    clicks = await asyncio.gather(*(press(url, disposition="participating", by="the watch") for _ in range(5)))
    assert {click.status_code for click in clicks} == {200}
    assert all("Your answer is recorded: participating" in click.text for click in clicks)
    assert all("not an approval" in click.text for click in clicks)
    said = await answers(door, "agency-a", release_id)
    assert {(one["alert_id"], one["disposition"], one["by"]) for one in said} == {
        (alert["id"], "participating", "the watch")
    }
    recorded = [one["data"] for one in await door.deployment.events("acknowledgements", 2)]
    assert [one["disposition"] for one in recorded if one["release_id"] == release_id] == ["participating"]
    page = (await fetch("GET", url)).text
    assert "So far you have answered: <strong>participating</strong>" in page
    finished = await press(url, disposition="finished")
    assert "recorded: finished" in finished.text
    refused = await press(url, disposition="declined")
    assert refused.status_code == 409
    assert "finished is the last word" in refused.text


async def test_the_answer_is_for_what_was_shown_though_it_changed_before_the_click(door: Door) -> None:
    release_id = await announce(door, "moved")
    alert = await alert_of(door, "agency-b", release_id)
    url = await linked(door, alert, "agency-b")
    form = {"alert_id": alert["id"], "disposition": "received"}
    await door.post("lab-a", "/v1/releases", json=release("moved", trusted_partner_release_at="2099-02-28T00:00:00Z"))
    while "28 February 2099" not in (await fetch("GET", url)).text:
        await asyncio.sleep(0.05)
    stale = await fetch("POST", url, data=form)
    assert "Something newer is asked" in stale.text
    fresh = await press(url, disposition="received")
    assert "Something newer" not in fresh.text
    first, second = await answers(door, "agency-b", release_id)
    assert first["alert_id"] == alert["id"] != second["alert_id"]


async def test_a_link_answers_no_other_window_alert_or_agency(door: Door) -> None:
    mine = await told(door, "agency-a", "mine")
    other = await told(door, "agency-a", "other")
    theirs = await alert_of(door, "agency-b", mine["data"]["release_id"])
    url = await linked(door, mine)
    assert (await door.post("agency-b", f"/v1/alerts/{mine['id']}/link")).status_code == 404
    assert (await door.post("lab-a", f"/v1/alerts/{mine['id']}/link")).status_code == 403
    for alert_id in (other["id"], theirs["id"], "none", None):
        form = {"disposition": "received"} | ({"alert_id": alert_id} if alert_id else {})
        assert (await fetch("POST", url, data=form)).status_code == 400
    for form, status in (
        ({"alert_id": mine["id"]}, 422),
        ({"alert_id": mine["id"], "disposition": "approved"}, 422),
        ({"alert_id": mine["id"], "disposition": "received", "by": "x" * 201}, 422),
        ({f"a{number}": "x" for number in range(20)}, 400),
    ):
        assert (await fetch("POST", url, data=form)).status_code == status, form
    assert (await fetch("POST", url, json={"disposition": "received"})).status_code == 415
    assert (await fetch("POST", url, content=b"x" * 400_000)).status_code in {413, 415}
    release_ids = [mine["data"]["release_id"], other["data"]["release_id"]]
    assert not [said for agency in AGENCIES for one in release_ids for said in await answers(door, agency, one)]


async def test_a_link_opens_nothing_but_its_page_and_no_other_token_opens_that(door: Door) -> None:
    url = await linked(door, await told(door, "agency-a", "single"))
    token = url.rpartition("/")[2]
    for path in ("/v1/alerts", "/v1/windows", "/v1/calendar.ics"):
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await fetch("GET", f"{door.address}{path}", headers=bearer)).status_code == 401
        assert (await fetch("GET", f"{door.address}{path}?token={token}")).status_code == 401
    assert (await fetch("GET", f"{door.address}/acknowledge/{door.tokens['agency-a']}")).status_code == 404


async def test_a_forged_expired_or_foreign_link_says_plainly_what_it_is_and_leaks_nothing(door: Door) -> None:
    release_id = await announce(door, "forged")
    alert = await alert_of(door, "agency-a", release_id)
    now = datetime.now(UTC)
    link = Link(alert["id"], release_id, 1, now.replace(microsecond=0))

    def signed(link: Link, agency: str = "agency-a", key: bytes = KEY) -> str:
        return written(link, agency, key, door.address)

    good = signed(link)
    assert (await fetch("GET", good)).status_code == 200
    elsewhere = Link(alert["id"], release_id, 2, link.made_at)
    old = Link(alert["id"], release_id, 1, link.made_at - LASTS)
    unknown = Link(release_id, release_id, 1, link.made_at)
    for url, status, title in (
        (good[:-1] + ("A" if good[-1] != "A" else "B"), 404, "This link leads nowhere"),
        (good[:-2], 404, "This link leads nowhere"),
        (signed(link, key=b"x" * 32), 404, "This link leads nowhere"),
        (signed(link, "agency-z"), 404, "This link leads nowhere"),
        (signed(old), 410, "This link has expired"),
        (signed(elsewhere), 410, "This link was for an earlier window"),
        (signed(link, "agency-b"), 503, "Not yet"),
        (signed(unknown), 503, "Not yet"),
    ):
        for method in ("GET", "POST"):
            form = {"data": {"alert_id": alert["id"], "disposition": "received"}} if method == "POST" else {}
            page = await fetch(method, url, **form)
            assert (page.status_code, title in page.text) == (status, True), (method, status, title, page.text)
            assert {name: page.headers[name] for name in STRICT} == STRICT
            for secret in ("forged", "Model", "lab-a", release_id, alert["id"], "2099"):
                assert secret not in page.text
    assert await answers(door, "agency-a", release_id) == []


async def test_links_of_a_window_that_was_withdrawn_and_announced_anew_are_over(door: Door) -> None:
    release_id = await announce(door, "again")
    url = await linked(door, await alert_of(door, "agency-a", release_id))
    await door.post("lab-a", f"/v1/releases/{release_id}/withdrawal?wait=20")
    while "has been withdrawn" not in (page := await fetch("GET", url)).text:
        assert page.status_code == 200
        await asyncio.sleep(0.05)
    assert re.findall(r'value="(\w+)" required', page.text) == ["received"]
    await door.post("lab-a", "/v1/releases?wait=20", json=release("again"))
    while (page := await fetch("GET", url)).status_code == 200:
        await asyncio.sleep(0.05)
    assert (page.status_code, "earlier window" in page.text) == (410, True)


async def test_links_end_when_an_operator_revokes_them_or_offboards_their_agency(door: Door) -> None:
    release_id = await announce(door, "ended")
    alerts = {agency: await alert_of(door, agency, release_id) for agency in AGENCIES}
    urls = {agency: await linked(door, alerts[agency], agency) for agency in AGENCIES}
    kafka = {
        "HERALD_KAFKA__BOOTSTRAP_SERVERS": door.deployment.bootstrap_servers,
        "HERALD_KAFKA__TOPIC_PREFIX": door.deployment.prefix,
        "HERALD_PARTITIONS": "2",
    }

    async def becomes(url: str, status: int) -> httpx.Response:
        while (page := await fetch("GET", url)).status_code != status:
            await asyncio.sleep(0.05)
        return page

    done = await asyncio.to_thread(lambda: herald("links", "revoke", "agency-b", **kafka))
    audit = [one["data"] for one in await door.deployment.events("audit")]
    assert [(one["action"], one["target"]) for one in audit if "target" in one] == [("links.revoke", "agency-b")]
    assert (done.returncode, "the links of agency-b are revoked" in done.stdout) == (0, True), done
    assert "not taken any more" in (await becomes(urls["agency-b"], 410)).text
    assert (await fetch("POST", urls["agency-b"], data={"alert_id": alerts["agency-b"]["id"]})).status_code == 410
    while (await fetch("GET", await linked(door, alerts["agency-b"], "agency-b"))).status_code != 200:
        await asyncio.sleep(0.05)  # one that was made in the second of the revocation is taken for an old one
    nobody = await asyncio.to_thread(lambda: herald("links", "revoke", "lab-a", **kafka))
    assert (nobody.returncode, "no agency of the registry" in nobody.stderr) == (2, True), nobody
    gone = await asyncio.to_thread(lambda: herald("offboard", "agency-c", "--yes", "--json", **kafka))
    assert gone.returncode == 0, gone
    assert door.tokens["agency-c"].token_id in gone.stdout
    assert "not taken any more" in (await becomes(urls["agency-c"], 410)).text
    left = await asyncio.to_thread(lambda: herald("tokens", "list", "--json", **kafka))
    assert "agency-c" not in left.stdout
    assert "agency-a" in left.stdout
    assert (await fetch("GET", urls["agency-a"])).status_code == 200


async def test_no_token_of_a_link_ever_stands_in_the_log_or_in_kafka(door: Door) -> None:
    release_id = await announce(door, "logged", audience={"mode": "listed", "agencies": ["agency-a"]})
    url = await linked(door, await alert_of(door, "agency-a", release_id))
    await fetch("GET", url)
    assert (await press(url, disposition="received")).status_code == 200
    token = url.rpartition("/")[2]
    assert read(token, AGENCIES, KEY) is not None
    log = door.process.log.read_text()
    assert "/acknowledge/{token}" in log
    assert "/acknowledge/" not in log.replace("/acknowledge/{token}", "")
    for topic in ("acks.agency-a", "receipts.agency-a", "credentials"):
        for record in await door.deployment.read(topic):
            assert token.encode() not in (record.value or b"")
    assert base64.urlsafe_b64decode(token)[:1] == b"\x01"
