"""`herald read-model rebuild`: throws the read model away; a door that runs projects it anew."""

import asyncio
from typing import Annotated

import typer

from services.cli import session
from services.kernel.settings import SettingsError

app = typer.Typer(no_args_is_help=True, help="The database behind the HTTP door: made from the topics alone.")


@app.callback()
def _group() -> None:
    """The database behind the HTTP door: made from the topics alone."""


@app.command()
def rebuild(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: session.Json = False,
) -> None:
    """Empty the read model, so that it is made anew from the topics. Until then the door knows less than it did.

    Example: herald read-model rebuild --yes
    """
    if not yes:
        if not session.on_terminal():
            raise SettingsError("rebuilding empties what the door answers from: say --yes")
        typer.confirm("Empty the read model?", abort=True)
    asyncio.run(_rebuild())
    session.say(as_json, "the read model is empty; a door that runs makes it anew", outcome="emptied")


async def _rebuild() -> None:
    # Imported here: no other command waits for a database's library.
    from services.gateway.model import database  # noqa: PLC0415

    engine = database.open_database(session.settings())
    await database.rebuild(engine)
    await engine.dispose()
