"""`herald deliveries pause | resume`: nothing is tried on a push endpoint for a while, which always has an end."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Annotated

import typer

from schemas.delivery import EndpointPaused, EndpointResumed, endpoint_key
from schemas.values import Instant, Strict, rfc3339
from services.cli import session
from services.cli.audited import audited
from services.cli.endpoints import Target, ask, chosen
from services.cli.lasting import duration
from services.kernel.clock import SystemClock
from services.kernel.registry_log import in_force
from services.kernel.settings import SettingsError

LONGEST = timedelta(days=30)


class _Ending(Strict):
    until: Instant


def pause(
    target: Target,
    lasts: Annotated[str | None, typer.Option("--for", help="How long: 8h, 45m, 2d, or as PT8H.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until when: 2027-03-01T15:00:00Z.")] = None,
    as_json: session.Json = False,
) -> None:
    """Pause endpoints: nothing is tried there until then. A pause always has an end, at most 30 days ahead.

    What waits is told together afterwards, without what is out of date by then. The other endpoints are told as ever.

    Example: herald deliveries pause cisa/desk --for 8h
    """
    now = SystemClock(session.settings().clock).now()
    asyncio.run(_pause(target, _end(lasts, until, now), as_json))


def resume(target: Target, as_json: session.Json = False) -> None:
    """End a pause now, or have a failing or disabled endpoint tried again: what is pending there is tried at once.

    Example: herald deliveries resume cisa/desk
    """
    asyncio.run(_resume(target, as_json))


async def _pause(target: str, until: datetime, as_json: bool) -> None:
    settings = session.settings()
    connection = session.connect(settings)
    where = chosen(await in_force(connection), target)
    await audited(connection, "endpoint.pause", target)
    asked = [EndpointPaused(agency=agency, endpoint=endpoint, until=until) for agency, endpoint in where]
    await ask(connection, asked, SystemClock(settings.clock).now())
    for agency, endpoint in where:
        line = f"{endpoint_key(agency, endpoint)} is paused until {rfc3339(until)}"
        session.say(as_json, line, agency=agency, endpoint=endpoint, outcome="paused", until=rfc3339(until))


async def _resume(target: str, as_json: bool) -> None:
    settings = session.settings()
    connection = session.connect(settings)
    where = chosen(await in_force(connection), target)
    await audited(connection, "endpoint.resume", target)
    asked = [EndpointResumed(agency=agency, endpoint=endpoint) for agency, endpoint in where]
    await ask(connection, asked, SystemClock(settings.clock).now())
    for agency, endpoint in where:
        line = f"{endpoint_key(agency, endpoint)} is resumed"
        session.say(as_json, line, agency=agency, endpoint=endpoint, outcome="resumed")


def _end(lasts: str | None, until: str | None, now: datetime) -> datetime:
    """The end of a pause. Raises SettingsError: it must have one, in the next 30 days."""
    if (lasts is None) == (until is None):
        raise SettingsError("a pause has an end: say either --for 8h or --until 2027-03-01T15:00:00Z")
    try:
        if lasts is not None:
            option, given = "--for", lasts
            end = now + duration(lasts, "mhd")
        else:
            option, given = "--until", str(until)
            end = _Ending.model_validate_json(json.dumps({"until": until})).until
    except (ValueError, OverflowError):
        right = "a duration, such as 8h, 45m, 2d or PT8H" if lasts is not None else "a time with a zone"
        raise SettingsError(f"{option} {given}: write {right}") from None
    if not now < end <= now + LONGEST:
        raise SettingsError(f"{option} {given}: a pause ends in the future, and at most {LONGEST.days} days ahead")
    return end
