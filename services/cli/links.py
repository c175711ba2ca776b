"""`herald links revoke`: acknowledgement links that went astray."""

import asyncio
from typing import Annotated

import typer

from services.cli import session
from services.cli.audited import audited
from services.kernel import credential_log
from services.kernel.clock import SystemClock
from services.kernel.registry_log import in_force
from services.kernel.settings import SettingsError

app = typer.Typer(no_args_is_help=True, help="Acknowledgement links, as they stand in mails and chat messages.")


@app.callback()
def _root() -> None:
    """Acknowledgement links, as they stand in mails and chat messages."""


@app.command("revoke")
def revoke(
    agency: Annotated[str, typer.Argument(help="Whose.")],
    as_json: session.Json = False,
) -> None:
    """Revoke every link of an agency that was made until now. Those made from the next second on are taken.

    Example: herald links revoke cisa
    """
    asyncio.run(_revoke(agency, as_json))


async def _revoke(agency: str, as_json: bool) -> None:
    settings = session.settings()
    connection = session.connect(settings)
    if agency not in (await in_force(connection)).agencies:
        raise SettingsError(f"{agency} is no agency of the registry: `herald registry show` lists them")
    await audited(connection, "links.revoke", agency)
    await credential_log.revoke_links(connection, agency, SystemClock(settings.clock).now())
    session.say(as_json, f"the links of {agency} are revoked", agency=agency, outcome="revoked")
