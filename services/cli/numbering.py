"""The Kafka users of an owner are numbered, and no number is given twice: the audit's order says who asked first."""

import json
from datetime import UTC, datetime, timedelta

from schemas.access import number_of, owner_of
from schemas.audit import Action
from services.cli import reading
from services.cli.audited import audited
from services.kernel.connection import Connection

AT_ONCE = timedelta(minutes=10)
"""How long it may take, at most, from asking for a number to being a user that Kafka shows."""

_ASKING = {"credential.issue", "credential.rotate"}


def following(owner: str, ever: set[str]) -> str:
    """The next user of an owner. `ever`: all that have a password or an entry in the access list."""
    return f"{owner}.{1 + max((number_of(one) for one in ever if owner_of(one) == owner), default=0)}"


async def numbered(connection: Connection, action: Action, owner: str, ever: set[str]) -> str:
    """The next user of an owner, which nobody else gets who asks at the same time; audited. Raises AuditError."""
    user = following(owner, ever)
    while await _taken(connection, user, await audited(connection, action, user)):
        ever = {*ever, user}
        user = following(owner, ever)
    return user


async def _taken(connection: Connection, user: str, asked_at: int) -> bool:
    """Whether somebody asked for this user before the record at this offset."""
    async for record in reading.records(connection, "audit", since=datetime.now(UTC) - AT_ONCE):
        entry = json.loads(record.value)["data"]
        if record.offset < asked_at and entry.get("target") == user and entry["action"] in _ASKING:
            return True
    return False
