"""`herald deliveries list | show | retry`: what push endpoints were told, what came of it, and asking for it again."""

import asyncio
import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from schemas.delivery import DeliveryRequested, DeliveryRetried
from schemas.envelope import reader
from schemas.registry import Registry
from schemas.values import rfc3339
from services.cli import endpoints, pauses, reading, session, trying_out
from services.cli.audited import audited
from services.cli.delivery_fold import Account, Delivery, Outcome, Status
from services.cli.exchange import REFUSED
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.registry_log import in_force
from services.kernel.settings import SettingsError

app = typer.Typer(no_args_is_help=True, help="What push endpoints were told; pause, resume and test them.")
app.command("pause")(pauses.pause)
app.command("resume")(pauses.resume)
app.command("test")(trying_out.try_out)

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, as `list` shows it, or the beginning of it.")]


@app.command("list")
def list_(
    agency: Annotated[str | None, typer.Option("--agency", help="Only this agency's.")] = None,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Only on endpoints of this name.")] = None,
    status: Annotated[Status | None, typer.Option("--status", help="Only those that are so.")] = None,
    as_json: session.Json = False,
) -> None:
    """List deliveries, oldest first: where, what, how it is, attempts, and when it is tried next at the earliest.

    Pending: nothing was tried yet. Failing: it was, and will be again. Abandoned: it will not be tried again.

    Example: herald deliveries list --agency cisa --status failing
    """
    asyncio.run(_list(agency, endpoint, status, as_json))


@app.command()
def show(which: Id, as_json: session.Json = False) -> None:
    """Show one delivery with every attempt: when, what came back, how long it took, and why it came to nothing.

    Example: herald deliveries show 5b1f0c9e
    """
    asyncio.run(_show(which, as_json))


@app.command()
def retry(
    which: Id,
    again: Annotated[
        bool, typer.Option("--again", help="Also if it was taken, or a newer alert of its release has followed.")
    ] = False,
    as_json: session.Json = False,
) -> None:
    """Have a delivery tried now. One that was abandoned is asked for anew by its id: a receiver can drop a repeat.

    Exit codes: 0 asked for, 3 refused: it was taken, is out of date (`--again` does it all the same), or cannot be.

    Example: herald deliveries retry 5b1f0c9e
    """
    asyncio.run(_retry(which, again, as_json))


async def _list(agency: str | None, endpoint: str | None, status: Status | None, as_json: bool) -> None:
    settings = session.settings()
    connection, now = session.connect(settings), SystemClock(settings.clock).now()
    account = await _account(connection)
    _check(agency, endpoint, await in_force(connection), account)
    for one in sorted(account.deliveries.values(), key=lambda one: (one.requested_at or "", one.delivery_id)):
        if agency in {None, one.agency} and endpoint in {None, one.endpoint} and status in {None, one.status}:
            fields = _fields(one, account, now)
            session.say(as_json, _line(one, fields["next_try"]), **fields)


async def _show(which: str, as_json: bool) -> None:
    settings = session.settings()
    account = await _account(session.connect(settings), which)
    one = _chosen(account, which)
    fields = _fields(one, account, SystemClock(settings.clock).now())
    lines = [f"{name}: {value}" for name, value in fields.items() if name != "attempts" and value is not None]
    lines += [_outcome(outcome) for outcome in one.outcomes]
    session.say(as_json, "\n".join(lines), **fields, outcomes=[outcome.fields for outcome in one.outcomes])


async def _retry(which: str, again: bool, as_json: bool) -> None:
    settings = session.settings()
    connection, now = session.connect(settings), SystemClock(settings.clock).now()
    account, registry = await _account(connection, which), await in_force(connection)
    one = _chosen(account, which)
    asked = _asked(one, account, registry, now, again=again)
    fields = {"delivery_id": one.delivery_id, "agency": one.agency, "endpoint": one.endpoint, "status": one.status}
    if isinstance(asked, str):
        session.say(as_json, f"{one.delivery_id}: {asked}", **fields, outcome="refused", reason=asked)
        sys.exit(REFUSED)
    await audited(connection, "delivery.retry", one.delivery_id, (one.release_id,))
    await endpoints.ask(connection, [asked], now)
    paused = account.paused_until(one.where, now)
    when = f"once {one.where} is not paused any more: at {rfc3339(paused)}, or when it is resumed" if paused else "now"
    session.say(as_json, f"{one.delivery_id} is asked for: it is tried {when}", **fields, outcome="asked")


def _asked(
    one: Delivery, account: Account, registry: Registry, now: datetime, *, again: bool
) -> DeliveryRetried | DeliveryRequested | str:
    """What is to be written so that it is tried; or one line on why it is not."""
    agency = registry.agencies.get(one.agency)
    endpoint = agency.endpoints.get(one.endpoint) if agency else None
    if endpoint is None:
        return f"refused: {one.where} is not in the registry any more"
    if since := account.disabled_at(one.where):
        return f"refused: {one.where} is disabled since {since}; `herald deliveries resume {one.where}` comes first"
    if one.status in {Status.PENDING, Status.FAILING}:
        return DeliveryRetried(agency=one.agency, endpoint=one.endpoint, delivery_id=one.delivery_id)
    if one.status is Status.TAKEN and not again:
        return f"refused: {one.where} took it at {one.outcomes[-1].at}; --again sends it once more, with the same id"
    if (newer := account.newer(one)) and not again:
        return f"refused: {newer} of the same release has followed on {one.where}; retry that, or say --again"
    if one.request is None:
        return "refused: what was to be delivered is not kept any more; the agency's own alerts may still hold it"
    request = reader(DeliveryRequested).validate_json(one.request, extra="ignore").data
    assert isinstance(request, DeliveryRequested)  # noqa: S101 - its only kind
    return request.again(endpoint, now)


async def _account(connection: Connection, begins: str | None = None) -> Account:
    """Every delivery, or those whose id begins so; up to the ends of the topics as they are now."""
    account = Account(begins)

    async def requests() -> None:
        async for record in reading.records(connection, endpoints.TOPIC):
            account.ask(record.value, record.timestamp)

    async def outcomes() -> None:
        async for record in reading.records(connection, endpoints.OUTCOMES):
            account.settle(record.value, record.timestamp)

    await asyncio.gather(requests(), outcomes())
    return account


def _check(agency: str | None, endpoint: str | None, registry: Registry, account: Account) -> None:
    """Raises SettingsError for an agency or endpoint that neither the registry nor any delivery knows."""
    places = {(name, one) for name, found in registry.agencies.items() for one in found.endpoints}
    places |= {(one.agency, one.endpoint) for one in account.deliveries.values()}
    agencies = {*registry.agencies, *(name for name, _ in places)}
    if agency is not None and agency not in agencies:
        raise SettingsError(f"--agency {agency}: there is no such agency{endpoints.nearest(agency, agencies)}")
    known = {one for name, one in places if agency in {None, name}}
    if endpoint is not None and endpoint not in known:
        raise SettingsError(f"--endpoint {endpoint}: there is no such endpoint{endpoints.nearest(endpoint, known)}")


def _chosen(account: Account, which: str) -> Delivery:
    if not account.deliveries:
        raise SettingsError(f"no delivery begins with {which}: `herald deliveries list` shows them")
    if len(account.deliveries) > 1 and which not in account.deliveries:
        raise SettingsError(f"{len(account.deliveries)} deliveries begin with {which}: write more of the id")
    return account.deliveries.get(which) or next(iter(account.deliveries.values()))


def _fields(one: Delivery, account: Account, now: datetime) -> dict[str, Any]:
    following, paused = account.next_try(one, now), account.paused_until(one.where, now)
    names = ("delivery_id", "agency", "endpoint", "channel", "alert_id", "release_id", "kind", "sequence", "exercise")
    return {name: getattr(one, name) for name in names} | {
        "status": one.status,
        "attempts": one.attempts,
        "requested_at": one.requested_at,
        "next_try": rfc3339(following) if following else None,
        "paused_until": rfc3339(paused) if paused else None,
    }


def _line(one: Delivery, following: str | None) -> str:
    parts = [one.delivery_id, one.where, "EXERCISE" if one.exercise else "", one.kind, one.status]
    parts += [f"{one.attempts} attempt{'' if one.attempts == 1 else 's'}", f"next {following}" if following else ""]
    if one.status is Status.ABANDONED:
        parts.append(f"({one.outcomes[-1].ending})")
    return "  ".join(part for part in parts if part)


def _outcome(outcome: Outcome) -> str:
    fields = outcome.fields
    took = f"{fields['seconds']:.2f} s" if fields["seconds"] is not None else ""
    abandoned = f"abandoned: {outcome.ending}" if outcome.ending and outcome.ending != fields["reason"] else ""
    parts = [f"  {fields['at']}", fields["outcome"], took, fields["reason"] or "", abandoned, fields["answer"] or ""]
    return "  ".join(part for part in parts if part)
