"""What proves who everybody is in the secured demo: a user for each service, a token or a user for each participant."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from schemas.access import plan
from schemas.registry import Registry
from services.cli.demo.access import Access
from services.cli.demo.scenario import Way
from services.cli.demo.secured import SecuredLines
from services.cli.kafka_access import KafkaAccess
from services.cli.numbering import numbered
from services.cli.service_users import environments
from services.embedded.broker import Broker
from services.embedded.ports import LOOPBACK, free
from services.embedded.secured import new_password
from services.kernel.connection import Connection
from services.kernel.credential_log import issue

LASTS = timedelta(hours=1)


async def enrol(
    connection: Connection, registry: Registry, ways: dict[str, Way], broker: Broker, folder: Path
) -> tuple[dict[str, dict[str, str]], SecuredLines, str]:
    """Each service's environment and the door's, the participants' lines, the door's address. Raises AccessError."""
    own = await asyncio.to_thread(environments, connection, registry, broker, folder)
    port = free()
    door = f"https://{LOOPBACK}:{port}"
    for name in ("door", "deliveries"):  # whose messages carry links to the door
        own[name]["HERALD_DOOR__PORT"] = str(port)
    access, kafka = {}, connection.settings
    for participant, way in ways.items():
        if way == "kafka":
            user, password = await asyncio.to_thread(_user, connection, registry, participant)
            address = kafka.bootstrap_servers
            access[participant] = Access(way, address, broker.cafile, kafka.topic_prefix, user, password)
        else:
            token = await issue(connection, participant, "demo", LASTS, datetime.now(UTC))
            access[participant] = Access(way, door, broker.cafile, kafka.topic_prefix, secret=str(token))
    return own, SecuredLines(access), door


def _user(connection: Connection, registry: Registry, participant: str) -> tuple[str, str]:
    access, password = KafkaAccess(connection), new_password()
    ever = access.users() | {acl.user for acl in access.acls()}
    user = asyncio.run(numbered(connection, "credential.issue", participant, ever))
    access.enrol(user, password, plan(registry, connection.settings.topic_prefix)[participant])
    return user, password
