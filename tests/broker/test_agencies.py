"""What agencies have: the page of the docs for them, a calendar, and a browser."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import httpx
import icalendar
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser

from schemas.registry import Registry
from services.kernel.credential_log import Token, issue
from tests.broker.doorway import DAY, Door, opened
from tests.broker.flow import release
from tests.broker.telling import alert_of, announce, told
from tests.broker.test_deployment import send
from tests.broker.test_embedded import herald
from tests.browser.chromium import chromium, is_dark
from tests.simulation.world import NAMESPACE

__all__ = ["chromium"]
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "for-agencies.md").read_text()
VENV = Path(sys.executable).parent
ID = "2f6c1e9a-0000-5000-8000-000000000000"


def agencies() -> Registry:
    """A lab, the agency that the docs speak of, and two others."""
    name = "Cybersecurity and Infrastructure Security Agency"
    named = {"cisa": {"name": name, "time_zone": "America/New_York"}, "treasury": {"name": "T"}, "dod": {"name": "D"}}
    said = {"version": 1, "namespace": NAMESPACE, "labs": {"lab-a": {"name": "Lab A"}}, "agencies": named}
    return Registry.model_validate_json(json.dumps(said))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """One deployment for the tests of this file."""
    folder = tmp_path_factory.mktemp("agencies")
    async with opened(kafka, "herald.", folder, agencies(), ("lab-a", "cisa", "treasury", "dod")) as door:
        yield door


def examples() -> list[str]:
    """Every command of the page, but those of a Kafka that asks who is there: `test_least_privilege` runs them."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    text = "\n".join(block for block in blocks if "SASL" not in block).replace("\\\n", " ")
    return [line for line in text.splitlines() if line]


async def run(door: Door, folder: Path, line: str, first: str, last: str, cursor: str) -> str:
    """What an example prints, with this deployment's addresses, ids and cursors in it; endless ones until `last`."""
    servers = door.deployment.bootstrap_servers
    here = {"https://herald.example": door.address, "HOST:PORT": servers, ID: first, "2f6c1e9a": first[:8]}
    for written, real in (here | {"after=17": f"after={cursor}", "ID: 17": f"ID: {cursor}"}).items():
        line = line.replace(written, real)
    env = {"PATH": f"{VENV}:{os.environ['PATH']}", "HERALD_KAFKA__BOOTSTRAP_SERVERS": servers, "HOME": str(folder)}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f"exec {line}", cwd=folder, env=env, stdout=pipe, stderr=pipe
    )
    assert process.stdout is not None
    if "-N" not in line and "--follow" not in line:
        out, errors = await process.communicate()
        assert process.returncode == 0, (line, out, errors)
        return out.decode()
    found = b""
    while last[:8].encode() not in found:
        more = await process.stdout.readline()
        assert more, f"{line} ended after {found!r}"
        found += more
    process.kill()
    await process.wait()
    return found.decode()


async def test_an_alert_is_answered_by_whoever_has_it_from_kafka_before_the_door_has_read_it(door: Door) -> None:
    alert = await told(door, "dod", "read-elsewhere", audience={"mode": "listed", "agencies": ["dod"]})
    for _ in range(10):
        alert["id"] = alert["data"]["alert_id"] = str(uuid4())
        await send(door.deployment, "alerts.dod", json.dumps(alert).encode())
        found = await door.post("dod", f"/v1/alerts/{alert['id']}/acknowledgement", json={"disposition": "received"})
        assert found.status_code == 202, found.text
    unknown = await door.post("dod", f"/v1/alerts/{uuid4()}/acknowledgement", json={"disposition": "received"})
    assert unknown.status_code == 404


async def test_every_example_of_the_page_for_agencies_does_what_it_says(door: Door, tmp_path: Path) -> None:
    alerts = [await told(door, "cisa", reference) for reference in ("documented", "documented-2")]
    first, last = (str(one["id"]) for one in alerts)
    after = (await door.get("cisa", "/v1/alerts?limit=1")).json()
    assert after["alerts"] == alerts[:1]
    feed = await issue(door.deployment.connection, "cisa", "a calendar", DAY, datetime.now(UTC), "calendar")
    (tmp_path / "token").write_text(f"{door.tokens['cisa']}\n")
    (tmp_path / "feed-token").write_text(f"{feed}\n")
    await opens(door, feed)
    beat = {"specversion": "1.0", "id": "b", "source": "/services/watchdog", "type": "herald.heartbeat.beat.v1"}
    await send(door.deployment, "heartbeat", json.dumps(beat).encode())
    expected = {
        "-t herald.alerts": last,
        "-t herald.heartbeat": "herald.heartbeat.beat.v1",
        "herald alerts": last[:8],
        "wait=30'": first,
        "after=17": last,
        "since=2026": first,
        "/windows": last,
        "/stream": last,
        "/acknowledgement": "herald.receipt.accepted.v1",
        "/link": f"{door.address}/acknowledge/",
        "/calendar.ics": "BEGIN:VEVENT",
        "as received": "unchanged",
        "as participating": "accepted",
    }
    used = set()
    for line in examples():
        (name,) = [name for name in expected if name in line]
        printed = await run(door, tmp_path, line, first, last, after["cursor"])
        assert expected[name] in printed, (line, printed)
        assert ("17" in line) <= (first not in printed), line
        used.add(name)
    assert used == set(expected)


async def opens(door: Door, token: Token, status: int = 200) -> httpx.Response:
    """What the feed answers, once the door has heard of its token."""
    while (found := await fetch(door, token)).status_code != status:
        await asyncio.sleep(0.05)
    return found


async def fetch(door: Door, token: object, **headers: str) -> httpx.Response:
    """One look at the feed."""
    return await door.get(None, "/v1/calendar.ics", params={"token": str(token)}, headers=headers)


async def test_a_feed_is_read_by_its_own_token_alone_and_that_opens_nothing_else(door: Door) -> None:
    await told(door, "cisa", "in-the-feed")
    now = datetime.now(UTC)
    feed = await issue(door.deployment.connection, "cisa", "a calendar", DAY, now, "calendar")
    labs = await issue(door.deployment.connection, "lab-a", "a calendar", DAY, now, "calendar")
    found = await opens(door, feed)
    assert found.headers["content-type"] == "text/calendar; charset=utf-8"
    assert found.headers["cache-control"] == "private, no-cache"
    assert found.headers["referrer-policy"] == "no-referrer"
    assert (await opens(door, labs, 403)).json()["title"] == "not for you"
    for path in ("/v1/alerts", "/v1/windows", "/v1/alerts/stream"):
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {feed}"}) as client:
            assert (await client.get(f"{door.address}{path}")).status_code == 403
    ordinary = await fetch(door, door.tokens["cisa"])
    assert (ordinary.status_code, ordinary.json()["title"]) == (403, "wrong scope")
    assert (await door.get("cisa", "/v1/calendar.ics")).status_code == 401
    for wrong in ("", "x", f"{feed}x", str(feed)[:-1]):
        assert (await fetch(door, wrong)).status_code == 401
    log = door.process.log.read_text()
    assert "/v1/calendar.ics" in log
    assert feed.secret not in log


async def test_a_feed_follows_moves_and_withdrawals_and_costs_nothing_while_nothing_changes(door: Door) -> None:
    feed = await issue(door.deployment.connection, "treasury", "a calendar", DAY, datetime.now(UTC), "calendar")
    release_id = await announce(door, "followed")
    await alert_of(door, "treasury", release_id)
    first = await opens(door, feed)
    assert event_of(first, release_id)[:2] == (datetime(2099, 1, 17, tzinfo=UTC), "CONFIRMED")
    for given in (first.headers["etag"], f'W/{first.headers["etag"]}, "x"'):
        same = await fetch(door, feed, **{"If-None-Match": given})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    head = await door_head(door, feed)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    moved = release("followed", trusted_partner_release_at="2099-02-28T00:00:00Z")
    await door.post("lab-a", "/v1/releases?wait=20", json=moved)
    await alert_of(door, "treasury", release_id, "rescheduled")
    second = await fetch(door, feed, **{"If-None-Match": first.headers["etag"]})
    assert event_of(second, release_id)[:2] == (datetime(2099, 2, 14, tzinfo=UTC), "CONFIRMED")
    await door.post("lab-a", f"/v1/releases/{release_id}/withdrawal?wait=20")
    await alert_of(door, "treasury", release_id, "withdrawn")
    third = await fetch(door, feed, **{"If-None-Match": second.headers["etag"]})
    assert event_of(third, release_id)[:2] == (datetime(2099, 2, 14, tzinfo=UTC), "CANCELLED")
    entries = [one["data"] for one in await door.deployment.events("audit")]
    mine = [one for one in entries if one["credential"] == f"token/{feed.token_id}"]
    assert [(one["action"], release_id in one["release_ids"]) for one in mine] == [("window.read", True)] * 4
    assert event_of(first, release_id)[2] < event_of(second, release_id)[2] < event_of(third, release_id)[2]


async def test_a_feed_ends_when_its_token_is_revoked_or_its_agency_leaves(door: Door) -> None:
    kafka = {"HERALD_KAFKA__BOOTSTRAP_SERVERS": door.deployment.bootstrap_servers, "HERALD_PARTITIONS": "2"}
    kafka["HERALD_DOOR__PUBLIC_URL"] = door.address
    named = ("tokens", "issue", "dod", "--name", "desk", "--scope", "calendar")
    shown = [await asyncio.to_thread(lambda: herald(*named, "--json", **kafka)) for _ in range(2)]
    one, other = (json.loads(done.stdout) for done in shown)
    assert one["url"].startswith(f"{door.address}/v1/calendar.ics?token=herald_")
    tokens = [Token.of(said["token"]) for said in (one, other)]
    for token in tokens:
        assert token is not None
        await opens(door, token)
    listed = await asyncio.to_thread(lambda: herald("tokens", "list", **kafka))
    assert listed.stdout.count("(calendar only)") >= 2
    await asyncio.to_thread(lambda: herald("tokens", "revoke", one["token_id"], **kafka))
    assert tokens[0] is not None
    assert tokens[1] is not None
    await opens(door, tokens[0], 401)
    assert (await fetch(door, tokens[1])).status_code == 200
    gone = await asyncio.to_thread(lambda: herald("offboard", "dod", "--yes", **kafka))
    assert other["token_id"] in gone.stdout, gone
    await opens(door, tokens[1], 401)
    lab = await asyncio.to_thread(lambda: herald("tokens", "issue", "lab-a", *named[3:], **kafka))
    assert (lab.returncode, "is a lab" in lab.stderr) == (2, True), lab


def event_of(answer: httpx.Response, release_id: str) -> tuple[Any, str, int]:
    """Start, status and sequence of the one event of a release."""
    assert answer.status_code == 200, answer.text
    events: list[Any] = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
    (found,) = [one for one in events if release_id in one["DESCRIPTION"]]
    return found["DTSTART"].dt, str(found["STATUS"]), found["SEQUENCE"]


async def door_head(door: Door, token: Token) -> httpx.Response:
    """What a calendar asks that only wants to know whether there is something new."""
    async with door.client(None) as client:
        return await client.head("/v1/calendar.ics", params={"token": str(token)})


async def test_in_a_browser_without_scripts_a_keyboard_is_enough_to_answer(door: Door, chromium: Browser) -> None:
    alert = await told(door, "cisa", "by-keyboard")
    url = (await door.post("cisa", f"/v1/alerts/{alert['id']}/link")).json()["url"]
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    await page.goto(url)
    assert await page.get_by_role("heading", level=1).inner_text() == "Early access is planned"
    assert "Friday 19:00 EST" in await page.locator("dl").inner_text()
    assert await answered(door, alert) == []
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Tab")
    await page.keyboard.type("the watch")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Your answer is recorded: participating").wait_for()
    assert await answered(door, alert) == [("participating", "the watch")]
    await page.reload()  # sends the form again
    await page.get_by_role("heading", name="Your answer is recorded: participating").wait_for()
    await page.get_by_role("link", name="Look at the window again").click()
    await page.get_by_text("So far you have answered: participating").wait_for()
    recorded = [one["data"] for one in await door.deployment.events("acknowledgements", 2)]
    assert len([one for one in recorded if one["alert_id"] == alert["id"]]) == 1
    style = f"GET {door.address}/pages/page.css"
    assert set(asked) == {f"GET {url}", f"POST {url}", style}
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_the_page_is_readable_on_a_phone_and_a_desk_in_both_themes(
    door: Door, chromium: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    """Accessibility as axe-core tells it (WCAG 2 A and AA, contrast among them)."""
    handling = "For the watch desk alone.\n" + "Unbroken" * 40
    name = f"seen-{width}-{scheme}"
    alert = await told(
        door, "cisa", name, handling=handling, model={"name": "Model " * 30, "version": "1"}, tlp="TLP:RED"
    )
    url = (await door.post("cisa", f"/v1/alerts/{alert['id']}/link")).json()["url"]
    context = await chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    for address in (url, None, f"{url[:-1]}_"):
        if address is None:
            await page.get_by_role("button").click()
            await page.get_by_role("heading", name="Your answer is recorded").wait_for()
        else:
            await page.goto(address)
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert await is_dark(page) == (scheme == "dark")
    assert [text for text in said if "404" not in text] == []  # the last page is one
    await context.close()


async def answered(door: Door, alert: dict[str, Any]) -> list[tuple[str, str]]:
    """What was said to an alert, as it stands in Kafka."""
    said = [one["data"] for one in await door.deployment.events("acks.cisa")]
    return [(one["disposition"], one["by"]) for one in said if one["alert_id"] == alert["id"]]
