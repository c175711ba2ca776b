"""The system's Chromium, for tests that look at a page in a real browser."""

import os
import re
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = shutil.which("chromium")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """The browser. Where there is none, tests are skipped, but not in CI."""
    if CHROMIUM is None and os.environ.get("CI") is None:
        pytest.skip("no chromium here: install it (apt-get install chromium) to look at the page in a real browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def is_dark(page: Page) -> bool:
    """Whether the ground of a page is."""
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    return max(map(int, re.findall(r"\d+", ground))) < 128
