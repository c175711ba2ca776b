"""The operators' page in a real browser: every page, both themes, phone and desktop, alive, and without scripts."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect

from schemas.credential import Role
from tests.browser.chromium import is_dark
from tests.browser.stage import Stage

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
Scheme = Literal["light", "dark"]
expect.set_options(timeout=30_000)  # a machine may be busy
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PAGES = (
    "",
    "/releases/{release}",
    "/deliveries",
    "/deliveries/{delivery}",
    "/dead-letters?closed=true",
    "/registry?before=0&after=2",
    "/drills",
    "/shards",
    "/nothing",
)
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS: tuple[tuple[int, Scheme, dict[str, Any]], ...] = (
    (320, "light", WCAG),
    (1280, "dark", WCAG),
    # What else depends on both the width and the theme.
    (320, "dark", {"runOnly": {"type": "rule", "values": ["color-contrast", "target-size"]}}),
    (1280, "light", {"runOnly": {"type": "rule", "values": ["color-contrast", "target-size"]}}),
)


@asynccontextmanager
async def let_in(stage: Stage, chromium: Browser, role: Role = "operator", **more: Any) -> AsyncIterator[Page]:
    """A page of somebody who has logged in by a token."""
    context = await chromium.new_context(base_url=stage.door.address, **more)
    page = await context.new_page()
    await page.goto("/console")
    await page.get_by_label("An operators’ token").fill(str(stage.operators[role]))
    await page.get_by_role("button", name="Log in").click()
    await expect(page).to_have_title("Windows · Herald")
    yield page
    await context.close()


async def addresses(stage: Stage) -> list[str]:
    """Every page, with ids that are there."""
    requested = await stage.door.deployment.events("deliveries", 2)
    ids = {"release": stage.releases["halo-4"], "delivery": requested[0]["data"]["delivery_id"]}
    return [f"/console{one}".format(**ids) for one in PAGES]


async def test_every_page_is_accessible_and_fits_in_both_themes_on_a_phone_and_a_desk(
    stage: Stage, chromium: Browser
) -> None:
    async with let_in(stage, chromium) as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        for address in await addresses(stage):
            await page.goto(address)
            await page.evaluate(AXE_SCRIPT)
            for width, scheme, rules in LOOKS:
                await page.set_viewport_size({"width": width, "height": 800})
                await page.emulate_media(color_scheme=scheme)
                assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), address
                found = await page.evaluate(
                    "rules => axe.run(document, rules)", {"resultTypes": ["violations"], **rules}
                )
                assert found["violations"] == [], (address, width, scheme)
                assert await is_dark(page) == (scheme == "dark")
        assert [
            one for one in said if "404" not in one
        ] == []  # the last page is one; nor does the policy on content stop anything that the pages want


async def test_a_change_is_on_the_open_page_without_reloading_it(stage: Stage, chromium: Browser) -> None:
    async with let_in(stage, chromium) as page:
        await expect(page.get_by_role("status")).to_have_text("Live.")
        await page.evaluate("window.same = true; document.getElementById('legend').open = true")
        cell = page.locator("#matrix tr", has_text="aurora-labs/halo-mini").locator("td").nth(0)
        await expect(cell).to_contain_text("told")
        began = await page.evaluate("performance.now()")
        await stage.answer("caisi", "halo-mini", "participating")
        await expect(cell).to_contain_text("participating")
        assert await page.evaluate("window.same"), "it was loaded anew"
        assert await page.evaluate("document.getElementById('legend').open"), "what was open is closed"
        print(f"shown {await page.evaluate('performance.now()') - began:.0f} ms after it was said")


async def test_after_the_door_was_away_an_open_page_catches_up_by_itself(stage: Stage, chromium: Browser) -> None:
    async with let_in(stage, chromium) as page:
        await expect(page.get_by_role("status")).to_have_text("Live.")
        await page.evaluate("window.same = true")
        stage.door.process.kill()
        await expect(page.get_by_role("status")).to_contain_text("Not live")
        await stage.door.reopen()
        await stage.announce("aurora-labs", "comet-1", opens=timedelta(days=3))
        await expect(page.locator("#matrix")).to_contain_text("aurora-labs/comet-1")
        assert await page.evaluate("window.same"), "it was loaded anew"


async def test_without_scripts_everything_is_there_and_a_keyboard_is_enough(stage: Stage, chromium: Browser) -> None:
    async with let_in(stage, chromium, "viewer", java_script_enabled=False) as page:
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await page.get_by_label("Windows").select_option("ended")
        await page.get_by_role("button", name="Show").press("Enter")
        await expect(page.locator("ol")).to_contain_text("basalt-ai/pebble-1")
        assert "pebble" not in page.url
        await page.get_by_role("searchbox").fill("QUARRY")
        await page.keyboard.press("Enter")
        await expect(page).to_have_title("basalt-ai/quarry-2 · Herald")
        await expect(page.get_by_text("An acknowledgement is not an approval.").first).to_be_visible()
        await expect(page.locator(".story")).to_contain_text("cisa has not answered in time")
        assert await page.evaluate("document.documentElement.dataset.theme") == "auto"
        await page.get_by_role("button", name="dark").click()
        await expect(page).to_have_title("basalt-ai/quarry-2 · Herald")
        assert await is_dark(page)
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await page.go_back()
        await page.reload()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_an_operator_gives_a_dead_letter_back_and_a_viewer_cannot(stage: Stage, chromium: Browser) -> None:
    async with let_in(stage, chromium, "viewer") as page:
        await page.goto("/console/dead-letters")
        await expect(page.locator("#letters")).to_contain_text("releases.drill-desk")
        await expect(page.get_by_text("Replay")).to_have_count(0)
    async with let_in(stage, chromium, java_script_enabled=False) as page:
        await page.goto("/console/dead-letters")
        await page.get_by_text("Replay").click()
        await page.get_by_role("button", name="Give it back to gateway").click()
        assert "outcome" not in page.url  # not before it is said that something was mended
        await page.get_by_label("What stopped it has been mended").check()
        await page.get_by_role("button", name="Give it back to gateway").click()
        await expect(page.get_by_role("status").first).to_contain_text("could not be decided again")
    audit = [one["data"] for one in await stage.door.deployment.events("audit")]
    token = f"token/{stage.operators['operator'].token_id}"
    assert [one["credential"] for one in audit if one["action"] == "dead-letter.replay"] == [token]


async def test_an_operator_has_a_delivery_tried_at_once(stage: Stage, chromium: Browser) -> None:
    async with let_in(stage, chromium) as page:
        await page.goto("/console/deliveries?status=failing")
        await page.locator("tbody th a").first.click()
        await expect(page).to_have_title("A delivery · Herald")
        delivery_id = page.url.rpartition("/")[2]
        await page.get_by_text("Try it now").first.click()
        await page.get_by_role("button", name="Try it now").click()
        await expect(page.locator("main")).to_contain_text("It was asked for again")
    asked = [one for one in await stage.door.deployment.events("deliveries", 2) if one["source"] == "/services/door"]
    assert [(one["type"], one["data"]["delivery_id"]) for one in asked] == [("herald.delivery.retried.v1", delivery_id)]
    audit = [one["data"] for one in await stage.door.deployment.events("audit")]
    assert [one["target"] for one in audit if one["action"] == "delivery.retry"] == [delivery_id]


async def test_the_pictures_in_the_docs_are_of_these_pages(stage: Stage, chromium: Browser) -> None:
    if os.environ.get("HERALD_TEST_PICTURES") is None:
        pytest.skip("HERALD_TEST_PICTURES=1 writes docs/images anew")
    async with let_in(stage, chromium, viewport={"width": 1200, "height": 900}, color_scheme="dark") as page:
        IMAGES.mkdir(exist_ok=True)
        await page.screenshot(path=IMAGES / "windows.png")
        await page.goto(f"/console/releases/{stage.releases['halo-4']}")
        await page.emulate_media(color_scheme="light")
        await page.screenshot(path=IMAGES / "release.png")
