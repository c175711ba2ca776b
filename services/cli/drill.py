"""`herald drill`: an exercise through every channel of the agencies that take part, and who is ready."""

import asyncio
import json
import secrets
from datetime import datetime, timedelta
from itertools import chain
from typing import Annotated

import typer

from schemas.registry import Registry
from schemas.release import Release, ReleaseAnnounced
from schemas.values import rfc3339
from services.cli import announce, drill_plan, drill_report, drill_watch, endpoints, exchange, session
from services.cli.audited import audited
from services.cli.drill_fold import Readiness
from services.cli.drill_plan import Held
from services.cli.lasting import lasting
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.registry_log import versions
from services.kernel.settings import SettingsError

INTERRUPTED = 130
_RECEIPT_SECONDS = 30.0
_SECOND = timedelta(seconds=1)
"""What a drill's beginning is known to."""

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"
"""Of a drill's word: nothing that is read for another, and no vowels, so that it spells nothing."""


def drill(
    agency: Annotated[list[str] | None, typer.Option("--agency", help="Only this agency; may be repeated.")] = None,
    wait: Annotated[str, typer.Option("--wait", help="How long to watch: 10m, 1h, PT4H; at most a day.")] = "10m",
    due: Annotated[bool, typer.Option("--due", help="Only if the last drill is as old as the registry says.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Begin none: report on the last one, as it stands now.")] = False,
    as_json: session.Json = False,
) -> None:
    """Send an exercise to agencies that take part in drills, through every channel, and report who is ready.

    The lab that the registry names under drills announces it. Each agency is told on its topic and at all of its
    endpoints, whatever their tier, and is asked to answer. Once all have, after --wait, or at Ctrl-C, the report says
    which endpoint took it, how fast, and who answered. Then the drill's window is closed, and no endpoint tried again.

    Exit codes: 0 ready, or not due, 1 not ready, 2 usage, 3 refused, 4 no receipt in time, 130 Ctrl-C.

    Example: herald drill --agency cisa --wait 10m
    """
    if last and (agency or due):
        raise SettingsError("--last reports on the drill that was: leave --agency and --due out")
    lasts = lasting("--wait", wait)
    if lasts > drill_plan.LONGEST:
        raise SettingsError(f"--wait {wait}: a drill is watched for a day at most")
    raise typer.Exit(asyncio.run(_last(as_json) if last else _drill(agency or [], lasts, due, as_json)))


async def _last(as_json: bool) -> int:
    connection = session.connect(session.settings())
    kept = await versions(connection)
    lab = drill_plan.lab_of(kept[-1] if kept else Registry())
    held = await drill_watch.latest(connection, lab)
    if held is None:
        raise SettingsError(f"{lab} has announced no drill yet: `herald drill` does")
    then = [one for one in kept if one.applied_at is None or one.applied_at <= held.begun_at + _SECOND] or kept
    readiness = _readiness(held, then[-1])
    await drill_watch.afterwards(connection, readiness)
    return drill_report.tell(readiness, as_json)


async def _drill(named: list[str], wait: timedelta, due: bool, as_json: bool) -> int:
    settings = session.settings()
    connection, clock = session.connect(settings), SystemClock(settings.clock)
    kept = await versions(connection)
    registry = kept[-1] if kept else Registry()
    lab, agencies, now = drill_plan.lab_of(registry), drill_plan.taking_part(registry, named), clock.now()
    if due and (said := await _not_due(connection, registry, lab, now)):
        session.say(as_json, said, what="drill", outcome="not-due", known=said)
        return drill_report.READY
    reference = drill_plan.reference(now, secrets.token_hex(2))
    word = "".join(secrets.choice(_LETTERS) for _ in range(5))
    held = Held(lab, reference, registry.release_id(lab, reference), agencies, now.replace(microsecond=0), word)
    release = drill_plan.stated(reference, agencies, word, now, wait)
    await audited(connection, "drill.start", releases=(held.release_id,))
    readiness = _readiness(held, registry)
    async with drill_watch.from_now_on(connection) as consumer:
        outcome = await _state(connection, lab, release)
        if outcome.receipt is None or outcome.refused:
            return exchange.tell(outcome, as_json, held.name)
        session.progress(f"{held.name} is announced to {', '.join(agencies)}; its word is {word}; watching it")
        until = clock.now() + wait
        with drill_watch.interruptible() as wanted:
            while not (readiness.is_over or wanted.is_set() or clock.now() >= until):
                alerts, now = await drill_watch.more(consumer, connection, readiness), clock.now()
                asked = [drill_plan.others(alert, registry.agencies[alert.agency], now) for alert in alerts]
                if any(asked):
                    await endpoints.ask(connection, list(chain(*asked)), now)
            await drill_watch.rest(consumer, connection, readiness)
    code = drill_report.tell(readiness, as_json)
    await _end(connection, held, release, readiness, clock.now())
    return INTERRUPTED if wanted.is_set() else code


async def _not_due(connection: Connection, registry: Registry, lab: str, now: datetime) -> str | None:
    """Why it is not time for another drill; None: it is. Raises SettingsError where the registry does not say."""
    every = registry.drills.every if registry.drills is not None else None
    if every is None:
        raise SettingsError("--due: the registry does not say how often: add `every: P28D` to `drills`, and apply it")
    last = await drill_watch.latest(connection, lab)
    if last is None or drill_plan.is_due(last.begun_at, every, now):
        return None
    return f"not due: {last.name} began {rfc3339(last.begun_at)}; the next is due {rfc3339(last.begun_at + every)}"


async def _state(connection: Connection, lab: str, release: Release) -> exchange.Outcome:
    data = json.loads(release.model_dump_json(exclude_none=True))
    event = announce.enveloped(ReleaseAnnounced.type, lab, None, data)
    return await exchange.exchange(connection, "releases", lab, event, _RECEIPT_SECONDS)


async def _end(connection: Connection, held: Held, release: Release, readiness: Readiness, now: datetime) -> None:
    """Takes back what was not taken, and closes the window."""
    if unsettled := readiness.unsettled():
        await endpoints.ask(connection, unsettled, now)
    outcome = await _state(connection, held.lab, drill_plan.ended(release, readiness.seen_at))
    if outcome.receipt is None or outcome.refused:
        known = "that was refused" if outcome.refused else outcome.known
        closes = rfc3339(release.trusted_partner_release_at)
        session.note(f"{held.name} is not closed ({known}): its window closes by itself at {closes}")


def _readiness(held: Held, registry: Registry) -> Readiness:
    return Readiness(held, {name: registry.agencies[name] for name in held.agencies if name in registry.agencies})
