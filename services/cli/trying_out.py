"""`herald deliveries test`: a message to a push endpoint that is about no release, and what came of it."""

import asyncio
from datetime import datetime
from typing import Annotated, Any
from uuid import uuid4

import typer

from schemas.delivery import NoticeRequested, NoticeSettled
from schemas.envelope import reader
from schemas.topics import DELIVERY_OUTCOMES
from services.cli import session
from services.cli.audited import audited
from services.cli.endpoints import OUTCOMES, ask, chosen
from services.cli.exchange import ACCEPTED, NO_ANSWER
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.registry_log import in_force
from services.kernel.settings import SettingsError

FAILED = 1


def try_out(
    target: Annotated[str, typer.Argument(metavar="AGENCY/ENDPOINT", help="The endpoint.")],
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for what comes of it.")] = 30.0,
    as_json: session.Json = False,
) -> None:
    """Send a message that says that it is a test to an endpoint, and say whether that took it. It is about no release.

    Exit codes: 0 taken, 1 not taken, 4 no answer in time, 2 usage.

    Example: herald deliveries test cisa/desk
    """
    raise typer.Exit(asyncio.run(_try_out(target, timeout, as_json)))


async def _try_out(target: str, seconds: float, as_json: bool) -> int:
    settings = session.settings()
    connection = session.connect(settings)
    ((agency, endpoint),) = chosen(await in_force(connection), target, one=True)
    await audited(connection, "endpoint.test", target)
    now, notice_id = SystemClock(settings.clock).now(), str(uuid4())
    where: dict[str, Any] = {"agency": agency, "endpoint": endpoint}
    notice = NoticeRequested(**where, notice_id=notice_id, notice="test", about=endpoint, requested_at=now)
    settled = await _settled(connection, notice, now, seconds)
    if settled is None:
        known = f"no answer within {seconds:g} s; the test is asked for: does the deliveries service run?"
        session.say(as_json, f"{target}: {known}", **where, notice_id=notice_id, outcome="no-answer", known=known)
        return NO_ANSWER
    said = f": {settled.answer}" if settled.answer else ""
    outcome = "not taken" if settled.failure else "taken"
    line = f"{target}: {outcome}{f', {settled.failure}' if settled.failure else ''}, in {settled.seconds:.2f} s{said}"
    fields = settled.model_dump(mode="json", exclude_none=True) | {"outcome": outcome.replace(" ", "-")}
    session.say(as_json, line, **fields)
    return FAILED if settled.failure else ACCEPTED


async def _settled(
    connection: Connection, notice: NoticeRequested, now: datetime, seconds: float
) -> NoticeSettled | None:
    """Asks for a notice, and what came of it; None: not in time."""
    read = reader(*DELIVERY_OUTCOMES)
    consumer = connection.consumer(fetch_max_wait_ms=100)
    await consumer.start()
    try:
        topic = connection.topic(OUTCOMES)
        if topic not in await consumer.topics():
            raise SettingsError(
                f"topic {topic} is not there, or not for this user: `herald registry apply FILE` makes it"
            )
        consumer.subscribe([topic])
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=20)
        for source, end in (await consumer.end_offsets(consumer.assignment())).items():
            consumer.seek(source, end)  # before it is asked for: nothing is missed
        await ask(connection, [notice], now)
        async with asyncio.timeout(seconds):
            async for record in consumer:
                settled = read.validate_json(record.value, extra="ignore").data
                if isinstance(settled, NoticeSettled) and settled.notice_id == notice.notice_id:
                    return settled
        return None
    except TimeoutError:
        return None
    finally:
        await consumer.stop()
