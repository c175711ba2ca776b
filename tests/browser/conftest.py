"""A real Kafka, a stage on it, and the system's Chromium."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.broker.conftest import kafka
from tests.broker.receivers import hooks
from tests.browser.stage import Stage, staged

__all__ = ["kafka"]
CHROMIUM = shutil.which("chromium")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One deployment for the tests of a file."""
    with hooks() as hooked:
        async with staged(kafka, tmp_path_factory.mktemp("browser"), hooked) as found:
            yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    if CHROMIUM is None and os.environ.get("CI") is None:
        pytest.skip("no chromium here: install it (apt-get install chromium) to look at the page in a real browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()
