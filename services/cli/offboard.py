"""`herald offboard`: a participant leaves for good."""

import asyncio
from typing import Annotated

import typer

from services.cli import session
from services.kernel.clock import SystemClock
from services.kernel.registry_log import publish, versions
from services.kernel.settings import SettingsError


def offboard(
    participant: Annotated[str, typer.Argument(help="The lab or agency.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: session.Json = False,
) -> None:
    """Offboard a lab or an agency. Its id is never used again; its topics stay for their retention.

    An agency is told once of each window that it is no longer addressed, and is chased no more. A lab's windows run
    on to their end, and nothing new is taken from it.

    Example: herald offboard treasury --yes
    """
    asyncio.run(_offboard(participant, yes, as_json))


async def _offboard(participant: str, yes: bool, as_json: bool) -> None:
    settings = session.settings()
    connection = session.connect(settings)
    kept = await versions(connection)
    registry = kept[-1] if kept else None
    if registry is not None and participant in registry.offboarded:
        session.say(as_json, f"{participant} was offboarded before", participant=participant, outcome="unchanged")
        return
    if registry is None or participant not in {*registry.labs, *registry.agencies}:
        raise SettingsError(f"{participant} is no lab and no agency of the registry: `herald registry show` lists them")
    if not yes:
        if not session.on_terminal():
            raise SettingsError(f"offboarding {participant} cannot be undone: say --yes")
        typer.confirm(f"Offboard {participant} for good?", abort=True)
    now = SystemClock(settings.clock).now()
    following = registry.model_copy(
        update={
            "labs": {name: lab for name, lab in registry.labs.items() if name != participant},
            "agencies": {name: agency for name, agency in registry.agencies.items() if name != participant},
            "offboarded": {**registry.offboarded, participant: now},
            "version": registry.version + 1,
            "applied_at": now,
        }
    )
    await publish(connection, following, now)
    line = f"{participant} is offboarded with registry version {following.version}; its id is never used again"
    session.say(as_json, line, participant=participant, outcome="offboarded", version=following.version)
