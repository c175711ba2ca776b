"""Every service of a secured Herald as a Kafka user of its own, and the door with a certificate.

Passwords are in files of the data directory that its owner alone reads: made once, and kept.
"""

import asyncio
from pathlib import Path

from schemas.access import SERVICE_OWNER, number_of, owner_of, plan
from schemas.registry import Registry
from schemas.topics import SERVICES
from services.cli.kafka_access import KafkaAccess
from services.cli.numbering import numbered
from services.cli.provision import reconcile
from services.embedded.authority import certificate
from services.embedded.broker import Broker
from services.embedded.secured import new_password, write_secret
from services.kernel.connection import Connection

FOLDER = "credentials"
DOOR = "door"


def environments(
    connection: Connection, registry: Registry, broker: Broker, data: Path, *others: str
) -> dict[str, dict[str, str]]:
    """What tells each service, the door and `others` who they are; users, files and the access list are made to fit.

    Call it from a thread of its own. Raises AccessError and AuditError.
    """
    reconcile(connection, registry)
    access, planned = KafkaAccess(connection), plan(registry, connection.settings.topic_prefix)
    users = access.users()
    ever = users | {acl.user for acl in access.acls()}
    folder = data.absolute() / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    owners = [SERVICE_OWNER + name for name in (*SERVICES, DOOR, *others)]
    kept = {owner: user for owner in owners if (user := _kept(owner, users, folder)) is not None}
    new = asyncio.run(_numbered(connection, [owner for owner in owners if owner not in kept], ever))
    for owner, user in new.items():
        password = new_password()
        _file(folder, user).unlink(missing_ok=True)  # of another Kafka
        write_secret(_file(folder, user), password)
        access.enrol(user, password, planned[owner])
    found = {
        owner.removeprefix(SERVICE_OWNER): {
            "HERALD_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "HERALD_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
            "HERALD_KAFKA__SASL_USERNAME": user,
            "HERALD_KAFKA__SASL_PASSWORD_FILE": str(_file(folder, user)),
            "HERALD_KAFKA__SSL_CAFILE": str(broker.cafile),
        }
        for owner, user in (kept | new).items()
    }
    tls = {"HERALD_DOOR__TLS_CERTFILE": str(certificate(data, DOOR))}
    for name in (DOOR, "deliveries"):  # whose messages carry links to the door
        found[name] |= tls
    return found


def _kept(owner: str, users: set[str], folder: Path) -> str | None:
    """The latest user of an owner whose password is here."""
    there = [user for user in users if owner_of(user) == owner and _file(folder, user).exists()]
    return max(there, key=number_of, default=None)


async def _numbered(connection: Connection, owners: list[str], ever: set[str]) -> dict[str, str]:
    asking = [numbered(connection, "credential.issue", owner, ever) for owner in owners]
    return dict(zip(owners, await asyncio.gather(*asking), strict=True))


def _file(folder: Path, user: str) -> Path:
    return folder / f"{user}.password"
