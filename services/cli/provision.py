"""`herald provision`: topics, and an access list that is equal to the plan."""

import asyncio
from typing import Annotated

import typer

from schemas.access import Changes, changes, plan
from schemas.registry import Registry
from services.cli import session
from services.cli.kafka_access import KafkaAccess
from services.kernel import provision as topics
from services.kernel.connection import Connection
from services.kernel.registry_log import in_force


def provision(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: session.Json = False,
) -> None:
    """Make the topics that the registry names, and Kafka's access list equal to the plan, for all users that exist.

    A lab may write its releases and read its receipts; an agency may read its alerts and receipts, write its answers,
    and use groups under its own prefix; a service has the topics of its row. Entries for users that are not of
    Herald's making are left alone.

    Example: herald provision --dry-run
    """
    asyncio.run(_provision(dry_run, as_json))


async def _provision(dry_run: bool, as_json: bool) -> None:
    settings = session.settings()
    connection = session.connect(settings)
    registry = await in_force(connection)
    made = await topics.provision(connection, settings.partitions, registry, dry_run=dry_run)
    for topic in made:
        session.say(as_json, f"+ topic {connection.topic(topic)}", change="add", topic=connection.topic(topic))
    found = await asyncio.to_thread(reconcile, connection, registry, dry_run=dry_run)
    for mark, change, acls in (("+", "add", found.add), ("-", "remove", found.remove)):
        for acl in acls:
            session.say(as_json, f"{mark} {acl}", change=change, acl=acl._asdict())
    if not made and not any(found):
        session.note("nothing to change")


def reconcile(connection: Connection, registry: Registry, *, dry_run: bool = False) -> Changes:
    """Makes the access list of all users that exist equal to the plan; returns what that took.

    Raises AccessError and NotSecured.
    """
    access = KafkaAccess(connection)
    planned = plan(registry, connection.settings.topic_prefix)
    found = changes(planned, registry.offboarded, access.users(), access.acls())
    if not dry_run:
        access.add(found.add)  # first: nobody who may stay is kept out meanwhile
        access.remove(found.remove)
    return found
