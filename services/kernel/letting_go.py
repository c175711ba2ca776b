"""Ends a producer or a consumer, bounded in time.

Its own stop waits for ever for what a producer cannot send, and for as long as a request may take to leave a group.
"""

import asyncio
from typing import Any

from aiokafka.errors import KafkaError

from services.kernel.ending import ended
from services.kernel.observe import log

STOP_SECONDS = 3.0


async def let_go(client: Any) -> None:
    """Sends what is still to be sent, leaves the group and disconnects; what takes too long is left undone."""
    stopping = asyncio.create_task(client.stop())
    await asyncio.wait([stopping], timeout=STOP_SECONDS)
    await ended(stopping)
    # A consumer whose fetches wait to be tried again ends as if it had been cancelled, too.
    error = "broken off" if stopping.cancelled() else stopping.exception()
    if error is not None:
        log.warning("left_behind", client=type(client).__name__, error=repr(error))
        await _drop(client)


async def _drop(client: Any) -> None:
    """Ends what could not stop: a producer would go on sending, and each would keep its connections."""
    sender = getattr(client, "_sender", None)
    if sender is not None and sender.sender_task is not None:
        await ended(sender.sender_task)  # told to end, it would still wait for what it has begun to send
    connections = client.client if hasattr(client, "client") else client._client  # a producer's, a consumer's
    try:
        await asyncio.wait_for(connections.close(), STOP_SECONDS)
    except (KafkaError, TimeoutError) as error:
        log.warning("connections_left_behind", client=type(client).__name__, error=repr(error))
