"""`herald tokens issue | list | revoke | exchange`: who may speak through the HTTP door."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from schemas.credential import OPERATORS, Role, Scope
from schemas.values import rfc3339
from schemas.watchdog import RESERVED
from services.cli import door, session
from services.cli.audited import audited
from services.cli.exchange import NO_ANSWER, REFUSED, Outcome
from services.cli.lasting import duration
from services.kernel import credential_log
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.registry_log import in_force
from services.kernel.settings import SettingsError

app = typer.Typer(no_args_is_help=True, help="Tokens for the HTTP door: named, expiring, shown once, kept as hashes.")

Participant = Annotated[str | None, typer.Argument(help="The lab or agency; absent with --role.")]


@app.command("issue")
def issue(
    name: Annotated[str, typer.Option("--name", help="What it is for.")],
    participant: Participant = None,
    lasts: Annotated[str, typer.Option("--for", help="How long it is taken: P90D.")] = "P90D",
    scope: Annotated[Scope | None, typer.Option("--scope", help="What it opens, and nothing else.")] = None,
    role: Annotated[Role | None, typer.Option("--role", help="Of an operators' token: it opens their page.")] = None,
    as_json: session.Json = False,
) -> None:
    """Issue a token. It is shown once: keep it where your CI or desk keeps its secrets.

    With `--scope calendar`, an agency's: it is shown as the address of a feed to subscribe to in a calendar. With
    `--role viewer` or `--role operator`, of no participant: it opens the operators' page of the door, and no more.

    Example: herald tokens issue aurora-labs --name "release pipeline" --for P90D
    """
    if (participant is None) == (role is None):
        raise SettingsError("name a lab or an agency, or say --role viewer or --role operator: one of both")
    if role is not None and scope is not None:
        raise SettingsError("--scope goes with a lab or an agency: leave it out with --role")
    asyncio.run(_issue(participant, name, _duration(lasts), scope, role, as_json))


@app.command("list")
def list_(as_json: session.Json = False) -> None:
    """List the tokens that are not revoked: whose, what for, until when. A CI's are listed while they last.

    Example: herald tokens list
    """
    settings = session.settings()
    now = SystemClock(settings.clock).now()
    for one in asyncio.run(credential_log.issued(session.connect(settings))).values():
        if one.identity_expires_at is not None and one.expires_at <= now:
            continue
        until = rfc3339(one.expires_at)
        scope = f"  ({one.scope} only)" if one.scope else f"  ({one.role} of the page)" if one.role else ""
        line = f"{one.token_id}  {one.participant:20} until {until}  {one.name}{scope}"
        fields = {"token_id": one.token_id, "participant": one.participant, "name": one.name, "expires_at": until}
        session.say(as_json, line, **fields, scope=one.scope, role=one.role)


@app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(help="Its id, as `herald tokens list` shows it.")],
    as_json: session.Json = False,
) -> None:
    """Revoke a token: from now on it is not taken.

    Example: herald tokens revoke 5f0c1d2e3a4b
    """
    asyncio.run(_revoke(token_id, as_json))


@app.command("exchange")
def exchange(
    lab: Annotated[str, typer.Option("--lab", envvar="HERALD_LAB", help="The lab that the CI speaks for.")],
    api: Annotated[str, typer.Option("--api", envvar="HERALD_API", help="Address of Herald's HTTP door.")],
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait, in all.")] = 30.0,
    as_json: session.Json = False,
) -> None:
    """Exchange the identity that a CI gives this run for a token of ten minutes, to say several things with it.

    Exit codes: 0 exchanged, 3 refused, 4 no answer in time, 2 usage, or no CI that gives one.

    Example: herald tokens exchange --lab aurora-labs --api https://herald.example
    """
    found = asyncio.run(door.exchange(api, lab, timeout))
    if isinstance(found, Outcome):
        # Not on standard output: that is where a script expects the token.
        reasons = found.receipt["data"]["reasons"] if found.receipt else [{"code": "no answer", "message": found.known}]
        for reason in reasons:
            session.note(f"herald: {reason['code']}: {reason['message']}")
        raise typer.Exit(REFUSED if found.refused else NO_ANSWER)
    session.say(as_json, found["token"], **found)


async def _issue(
    named: str | None, name: str, lasts: timedelta, scope: Scope | None, role: Role | None, as_json: bool
) -> None:
    settings = session.settings()
    connection = session.connect(settings)
    participant = named or OPERATORS
    if role is None:
        await _check(connection, participant, scope)
    await audited(connection, "token.issue", participant)
    now = SystemClock(settings.clock).now()
    token = await credential_log.issue(connection, participant, name, lasts, now, scope, role)
    whose = f"of {participant}" if role is None else f"for a {role}"
    session.note(f"token {token.token_id} {whose}, for {name}; it is not shown again:")
    fields = {"token": str(token), "token_id": token.token_id, "participant": participant}
    if scope is None:
        session.say(as_json, str(token), **fields, **({"role": role} if role else {}))
    else:
        url = f"{settings.door.address or ''}{credential_log.FEED_PATH}?token={token}"
        session.say(as_json, url, **fields, scope=scope, url=url)


async def _check(connection: Connection, participant: str, scope: Scope | None) -> None:
    registry = await in_force(connection)
    if participant not in {*registry.labs, *registry.agencies}:
        raise SettingsError(f"{participant} is no lab and no agency of the registry: `herald registry show` lists them")
    if participant in RESERVED:
        raise SettingsError(f"{participant} is Herald's own: nobody speaks for it through the door")
    if scope == "calendar" and participant not in registry.agencies:
        raise SettingsError(f"--scope calendar: {participant} is a lab; a calendar is an agency's")


async def _revoke(token_id: str, as_json: bool) -> None:
    settings = session.settings()
    connection = session.connect(settings)
    known = (await credential_log.issued(connection)).get(token_id)
    if known is None:
        raise SettingsError(f"{token_id} is no token that is in force: `herald tokens list` shows those")
    await audited(connection, "token.revoke", token_id)
    await credential_log.revoke(connection, known, SystemClock(settings.clock).now())
    session.say(as_json, f"token {token_id} of {known.participant} is revoked", token_id=token_id, outcome="revoked")


def _duration(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError:
        raise SettingsError(f"--for {text}: write a duration, such as P90D or PT12H") from None
