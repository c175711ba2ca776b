"""What the Kafka client says of itself stays out of logs; what anybody else forgets does not."""

import asyncio
import gc
import logging

import pytest
from aiokafka.errors import ProducerFenced

from services.kernel.observe import quiet_client


@pytest.mark.parametrize(("error", "lines"), [(ProducerFenced(), 0), (ValueError("ours"), 1)])
async def test_a_future_of_a_failed_batch_that_nobody_asked_is_no_line_but_any_other_is(
    error: Exception, lines: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("asyncio"), "filters", [])
    monkeypatch.setattr(logging.getLogger("aiokafka"), "level", logging.NOTSET)
    quiet_client()
    asyncio.get_running_loop().create_future().set_exception(error)
    gc.collect()
    assert len(caplog.records) == lines
