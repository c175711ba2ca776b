"""`herald offboard`: a participant leaves for good."""

import asyncio
import time
from datetime import datetime
from typing import Annotated

import typer
from aiokafka import TopicPartition

from schemas.registry import Registry
from schemas.watchdog import RESERVED
from services.cli import session
from services.cli.audited import audited
from services.cli.credentials import end, of_owner
from services.cli.kafka_access import AccessError, KafkaAccess, NotSecured
from services.cli.provision import reconcile
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.credential_log import issued, revoke
from services.kernel.dead_letter_log import positions
from services.kernel.ledger import REGISTRY_TOPIC
from services.kernel.registry_log import in_force, publish
from services.kernel.settings import SettingsError

TOLD_SECONDS = 20.0


def offboard(
    participant: Annotated[str, typer.Argument(help="The lab or agency.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: session.Json = False,
) -> None:
    """Offboard a lab or an agency. Its id is never used again; its topics stay for their retention.

    An agency is told once of each window that it is no longer addressed, and is chased no more. A lab's windows run
    on to their end, and nothing new is taken from it. Then its Kafka credentials end, with all that they may do, and
    its tokens for the door, its links and feeds.

    Example: herald offboard treasury --yes
    """
    asyncio.run(_offboard(participant, yes, as_json))


async def _offboard(participant: str, yes: bool, as_json: bool) -> None:
    settings = session.settings()
    connection, clock = session.connect(settings), SystemClock(settings.clock)
    registry = await in_force(connection)
    if participant in registry.offboarded:
        revoked = await _cut_off(connection, settings.partitions, participant, registry, clock.now())
        line = f"{participant} was offboarded before{_listed(revoked)}"
        session.say(as_json, line, participant=participant, outcome="unchanged", revoked=revoked)
        return
    if participant in RESERVED:
        raise SettingsError(f"{participant} is Herald's own: stop the watchdog's process where it is not wanted")
    if participant not in {*registry.labs, *registry.agencies}:
        raise SettingsError(f"{participant} is no lab and no agency of the registry: `herald registry show` lists them")
    if not yes:
        if not session.on_terminal():
            raise SettingsError(f"offboarding {participant} cannot be undone: say --yes")
        typer.confirm(f"Offboard {participant} for good?", abort=True)
    now = clock.now()
    following = registry.model_copy(
        update={
            "labs": {name: lab for name, lab in registry.labs.items() if name != participant},
            "agencies": {name: agency for name, agency in registry.agencies.items() if name != participant},
            "offboarded": {**registry.offboarded, participant: now},
            "version": registry.version + 1,
            "applied_at": now,
        }
    )
    await audited(connection, "participant.offboard", participant)
    await publish(connection, following, now)
    try:
        revoked = await _cut_off(connection, settings.partitions, participant, following, now)
    except AccessError as error:
        raise AccessError(
            f"{participant} is offboarded with registry version {following.version}, but its credentials were not "
            f"revoked; run this again: {error}"
        ) from None
    line = f"{participant} is offboarded with registry version {following.version}; its id is never used again"
    fields = {"participant": participant, "outcome": "offboarded", "version": following.version, "revoked": revoked}
    session.say(as_json, line + _listed(revoked), **fields)


async def _cut_off(
    connection: Connection, partitions: int, participant: str, registry: Registry, now: datetime
) -> list[str]:
    """Revokes its credentials, once the notifier has told it what it is to be told; returns them.

    The door takes links of those in the registry only: they have ended with it.
    """
    tokens = [one for one in (await issued(connection)).values() if one.participant == participant and one.role is None]
    if tokens:
        await audited(connection, "token.revoke", participant)
    for token in tokens:
        await revoke(connection, token, now)
    ended = [token.token_id for token in tokens]
    try:
        access = await asyncio.to_thread(KafkaAccess, connection)
    except NotSecured:
        return ended
    users = await asyncio.to_thread(of_owner, access, participant)
    if users and not await _told(connection, partitions):
        session.note(
            f"the notifier has not decided this version within {TOLD_SECONDS:g} s: {participant} is cut off untold"
        )
    if users:
        await audited(connection, "credential.revoke", participant)
    revoked = await asyncio.to_thread(end, access, users)
    await asyncio.to_thread(reconcile, connection, registry)
    return ended + revoked


async def _told(connection: Connection, partitions: int) -> bool:
    """Whether every shard of the notifier decides the registry's last version in time."""
    source = TopicPartition(connection.topic(REGISTRY_TOPIC), 0)
    consumer = connection.consumer()
    try:
        await consumer.start()
        end_ = (await consumer.end_offsets([source]))[source]
    finally:
        await consumer.stop()
    until, waiting = time.monotonic() + TOLD_SECONDS, set(range(partitions))
    while waiting and time.monotonic() < until:
        for partition in sorted(waiting):
            found = await positions(connection, "notifier", partition)
            if found.next.get(REGISTRY_TOPIC, 0) >= end_ - 1:  # the last one is the transaction's marker
                waiting.discard(partition)
        await asyncio.sleep(0.1)
    return not waiting


def _listed(revoked: list[str]) -> str:
    return f"; revoked: {', '.join(revoked)}" if revoked else ""
