"""`herald dead-letters list | show | replay | drop`: what could not be read or decided, and giving it back."""

import asyncio
import sys
from typing import Annotated

import typer

from services.cli import session
from services.cli.audited import audited
from services.cli.exchange import ACCEPTED, NO_ANSWER, REFUSED
from services.kernel.connection import Connection
from services.kernel.dead_letter_log import Found, give_back, letters
from services.kernel.settings import SettingsError

app = typer.Typer(no_args_is_help=True, help="What could not be read or decided: look at it, mend, and give it back.")

Ids = Annotated[list[str] | None, typer.Argument(help="Which, as `list` shows them: 3-17.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for each to be decided.")]


@app.command("list")
def list_(
    every: Annotated[
        bool, typer.Option("--all", help="Also those that are closed: healed, replayed, dropped.")
    ] = False,
    as_json: session.Json = False,
) -> None:
    """List the open dead letters: where each record stood, and why it could not be handled. Never its content.

    One is closed by a replay, by `drop`, or by a later record of the same key, which says all that is true now.

    Example: herald dead-letters list --json
    """
    asyncio.run(_list(every, as_json))


@app.command()
def show(
    which: Annotated[str, typer.Argument(help="Which, as `list` shows it: 3-17.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only the record's own bytes: confidential.")] = False,
    as_json: session.Json = False,
) -> None:
    """Show one dead letter with its trace, or (`--raw`) the record itself, byte for byte.

    Example: herald dead-letters show 3-17
    """
    asyncio.run(_show(which, raw, as_json))


@app.command()
def replay(
    which: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    timeout: Timeout = 20.0,
    as_json: session.Json = False,
) -> None:
    """Give dead letters back to their service after a mend, in their first order; their ids stay what they were.

    What would take a key back in time is refused (exit code 3): state it anew instead. Exit code 1: one failed again.

    Example: herald dead-letters replay --all
    """
    asyncio.run(_give_back(which or [], every, timeout, as_json, drop=False))


@app.command()
def drop(
    which: Ids = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    timeout: Timeout = 20.0,
    as_json: session.Json = False,
) -> None:
    """Close dead letters for good without replaying them. The records stay readable until their retention ends.

    Example: herald dead-letters drop 3-17 --yes
    """
    if not yes:
        if not session.on_terminal():
            raise SettingsError("dropping a dead letter cannot be undone: say --yes")
        typer.confirm(f"Drop {', '.join(which or [])} for good?", abort=True)
    asyncio.run(_give_back(which or [], False, timeout, as_json, drop=True))


async def _list(every: bool, as_json: bool) -> None:
    for found in await letters(session.connect(session.settings())):
        if found.open or every:
            letter = found.letter
            line = f"{found.id}  {letter.topic or 'timer'}/{letter.partition}@{letter.offset}  {letter.service}"
            line += f"  {letter.reason}  {letter.detail}  ({found.fields['bytes']} bytes)"
            session.say(as_json, line if found.open else f"{line}  closed", **found.fields)


async def _show(which: str, raw: bool, as_json: bool) -> None:
    connection = session.connect(session.settings())
    (found,) = _chosen(await letters(connection), [which])
    if raw:
        await audited(connection, "dead-letter.read", which)
        sys.stdout.buffer.write(found.record.value or b"")
        return
    fields = found.fields | {"trace": found.letter.trace}
    session.say(as_json, "\n".join(f"{name}: {value}" for name, value in fields.items()), **fields)


async def _give_back(which: list[str], every: bool, seconds: float, as_json: bool, *, drop: bool) -> None:
    connection = session.connect(session.settings())
    found_all = await letters(connection)
    chosen = [found for found in found_all if found.open] if every else _chosen(found_all, which)
    codes = {ACCEPTED}
    for found in sorted(chosen, key=lambda one: (one.letter.topic, one.letter.partition, one.letter.offset)):
        outcome, code, said = await _one(connection, found, seconds, drop=drop)
        codes.add(code)
        session.say(as_json, f"{found.id}  {said}", **found.fields, outcome=outcome)
    if not chosen:
        session.note("no dead letter is open")
    if max(codes):
        sys.exit(max(codes))


async def _one(connection: Connection, found: Found, seconds: float, *, drop: bool) -> tuple[str, int, str]:
    """What became of one: the outcome, the exit code, and a line for people."""
    service = found.letter.service
    if found.open and not (drop and found.letter.reason == "timer"):
        await audited(connection, "dead-letter.drop" if drop else "dead-letter.replay", found.id)
    match await give_back(connection, found, seconds, drop=drop):
        case "refused" if drop and found.letter.reason == "timer":
            said = "a timer that is left out stays so until its release is stated anew: nothing to drop"
            return "refused", REFUSED, said
        case "refused":
            said = "closed: a later record of its key was decided, or it was replayed or dropped before; state it anew"
            return "refused", REFUSED, said
        case "failed":
            return "failed", 1, f"{service} could not decide it again; a new dead letter says why"
        case "unanswered":
            return "unanswered", NO_ANSWER, f"given back, but {service} has not taken it within {seconds:g} s"
        case outcome:
            return outcome, ACCEPTED, outcome


def _chosen(kept: list[Found], which: list[str]) -> list[Found]:
    known = {found.id: found for found in kept}
    for one in which:
        if one not in known:
            raise SettingsError(f"no dead letter {one}: `herald dead-letters list --all` shows them")
    return [known[one] for one in which]
