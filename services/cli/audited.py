"""Writes down what an operator's command is about to change, before it does. Without that it changes nothing."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from aiokafka.errors import KafkaError

from schemas.audit import AccessAudited, Action
from schemas.envelope import encode
from services.cli import session
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.letting_go import let_go
from services.kernel.provision import ensure

SECONDS = 15.0


class AuditError(Exception):
    """It could not be written down; one line for people."""


async def audited(
    connection: Connection, action: Action, target: str | None = None, releases: Sequence[str] = ()
) -> int:
    """The record's offset, once Kafka has it on all replicas. Raises AuditError: then nothing may be changed."""
    now, request_id = SystemClock(session.settings().clock).now(), str(uuid4())
    entry = AccessAudited(
        action=action,
        credential=f"kafka/{connection.settings.sasl_username or 'anonymous'}",
        request_id=request_id,
        release_ids=tuple(releases),
        target=target,
        at=now,
    )
    event = entry.stamped(cause=request_id, ordinal=0, source="/services/operator", time=now)
    await ensure(connection, "audit")  # the first users are issued before anything is there
    producer, topic = connection.producer(), connection.topic("audit")
    try:
        async with asyncio.timeout(SECONDS):
            await producer.start()
            sent = await producer.send_and_wait(topic, encode(event), key=entry.subject().encode(), partition=0)
    except (KafkaError, TimeoutError) as error:
        raise AuditError(
            f"nothing was changed, since that could not be written to {topic} ({type(error).__name__}): may this user "
            "write there?"
        ) from None
    finally:
        await let_go(producer)
    return int(sent.offset)
