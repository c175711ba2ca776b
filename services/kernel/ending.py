"""Ends tasks for sure: one cancellation may not be enough."""

import asyncio
from typing import Any

AGAIN_SECONDS = 1.0


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks until each has ended; what they end with is nobody's concern any more.

    Before Python 3.12 `asyncio.wait_for`, with which Kafka's client waits for answers, keeps a cancellation for itself
    that comes in the instant of the answer (gh-86296): of what was cancelled amid requests, one in fifty went on.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
