"""`herald audit`: who should have been told and reminded, derived anew from the topics, and what differs from that."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from services.audit.run import audit as audit_topics
from services.cli import reading, session
from services.cli.lasting import lasting
from services.cli.pace import paced
from services.kernel.clock import SystemClock

CLEAN, DIFFERENT = 0, 1


def audit(
    since: reading.Since = None,
    grace: Annotated[
        str, typer.Option("--grace", help="What was written so short a time ago may be in flight: it is not judged.")
    ] = "1m",
    as_json: session.Json = False,
) -> None:
    """Derive anew, from the topics alone, who should have been told and reminded; print whatever differs, one a line.

    Each line says when, the kind of difference, the ids of what it is about, and the record's topic and place. The
    topics are read whole; --since leaves older differences out. Nothing of what a release says is shown.

    Exit codes: 0 nothing differs, 1 something does, 2 usage.

    Example: herald audit --since P7D
    """
    raise typer.Exit(asyncio.run(_audit(since, lasting("--grace", grace), as_json)))


async def _audit(since: str | None, grace: timedelta, as_json: bool) -> int:
    settings = session.settings()
    connection, clock = session.connect(settings), SystemClock(settings.clock)
    start = reading.point(since, clock.now())
    report = await audit_topics(connection, start, clock=clock, grace=grace, say=paced)
    for one in report.differences:
        session.say(as_json, one.line, **one.fields)
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(report.counts.items())) or "nothing differs"
    older = f"; {report.skipped} releases are not, since their beginning is not kept" if report.skipped else ""
    session.note(f"{report.records} records of {report.releases} releases are audited{older}: {counted}")
    return DIFFERENT if report.differences else CLEAN
