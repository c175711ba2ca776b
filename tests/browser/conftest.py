"""A real Kafka, a stage on it, and the system's Chromium."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.broker.conftest import kafka, kafka_folder
from tests.broker.receivers import hooks
from tests.browser.chromium import chromium
from tests.browser.stage import Stage, staged

__all__ = ["chromium", "kafka", "kafka_folder"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One deployment for the tests of a file."""
    with hooks() as hooked:
        async with staged(kafka, tmp_path_factory.mktemp("browser"), hooked) as found:
            yield found
