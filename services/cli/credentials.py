"""`herald credentials issue | rotate | revoke | list`: the Kafka users of labs, agencies and services."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from schemas.access import OPERATOR, number_of, owner_of, plan, spent
from schemas.audit import Action
from schemas.registry import Registry
from services.cli import session
from services.cli.audited import audited
from services.cli.kafka_access import KafkaAccess
from services.cli.numbering import numbered
from services.embedded.secured import new_password, write_secret
from services.kernel.connection import Connection
from services.kernel.registry_log import in_force
from services.kernel.settings import SettingsError

app = typer.Typer(no_args_is_help=True, help="Kafka users: one or more for a lab, an agency, a service, an operator.")

Owner = Annotated[str, typer.Argument(help=f"A lab, an agency, service.<name>, or {OPERATOR}.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the password to this new file, and show it nowhere.")]


@app.command()
def issue(owner: Owner, out: Out = None, as_json: session.Json = False) -> None:
    """Make a Kafka user with a password that is shown once, and let it do what its owner may. Earlier ones stay.

    Example: herald credentials issue cisa --out cisa.password
    """
    connection, registry = _registry()
    access = KafkaAccess(connection)
    user = _issue(connection, registry, access, owner, "credential.issue", out, as_json)
    if not as_json:
        session.note(f"connect as {user} with SCRAM-SHA-512")


@app.command()
def rotate(owner: Owner, out: Out = None, as_json: session.Json = False) -> None:
    """Make the next user of an owner. The old ones go on working until they are revoked.

    Example: herald credentials rotate cisa
    """
    connection, registry = _registry()
    access = KafkaAccess(connection)
    old = _users(access, owner)
    if not old:
        raise SettingsError(f"{owner} has no credentials to rotate: `herald credentials issue {owner}` makes the first")
    user = _issue(connection, registry, access, owner, "credential.rotate", out, as_json)
    for one in old:
        session.note(f"{one} still works; once nobody uses it any more: `herald credentials revoke {one}`")
    if not as_json:
        session.note(f"connect as {user} with SCRAM-SHA-512")


@app.command()
def revoke(
    which: Annotated[str, typer.Argument(help="A user (cisa.1), or an owner (cisa): then all that it has.")],
    as_json: session.Json = False,
) -> None:
    """End a user, or all users of an owner, at once: also those that are connected.

    Example: herald credentials revoke cisa.1
    """
    connection, _ = _registry()
    access = KafkaAccess(connection)
    users = [user for user in _every(access) if which in {user, owner_of(user)}]
    if not users:
        raise SettingsError(f"there is no user {which}: `herald credentials list` shows all")
    asyncio.run(audited(connection, "credential.revoke", which))
    for user in end(access, users):
        session.say(as_json, f"{user} is revoked", user=user, outcome="revoked")


@app.command("list")
def list_(as_json: session.Json = False) -> None:
    """List the users of labs, agencies and services.

    Example: herald credentials list --json
    """
    connection, registry = _registry()
    known = plan(registry, connection.settings.topic_prefix)
    for user in _every(KafkaAccess(connection)):
        owner = str(owner_of(user))
        stale = "" if owner in known else "  (its owner is not in the registry: it may do nothing)"
        session.say(as_json, f"{user}{stale}", user=user, owner=owner, known=owner in known)


def end(access: KafkaAccess, users: list[str]) -> list[str]:
    """Ends users. The user goes first: what is left when this breaks off may do nothing new, and is seen again."""
    acls = access.acls()
    existing = access.users()
    for user in users:
        if user in existing:
            access.drop(user)
        access.add([spent(user)])
        access.remove(acl for acl in acls if acl.user == user and acl != spent(user))
    return users


def of_owner(access: KafkaAccess, owner: str) -> list[str]:
    """Its users, and those revoked by half."""
    return [user for user in _every(access) if owner_of(user) == owner]


def _registry() -> tuple[Connection, Registry]:
    connection = session.connect(session.settings())
    return connection, asyncio.run(in_force(connection))


def _every(access: KafkaAccess) -> list[str]:
    """Every user that has a password or may still do something."""
    found = access.users() | {acl.user for acl in access.acls() if acl != spent(acl.user)}
    return sorted(found, key=lambda user: (owner_of(user) or "", number_of(user)))


def _users(access: KafkaAccess, owner: str) -> list[str]:
    return sorted((user for user in access.users() if owner_of(user) == owner), key=number_of)


def _issue(
    connection: Connection,
    registry: Registry,
    access: KafkaAccess,
    owner: str,
    action: Action,
    out: Path | None,
    as_json: bool,
) -> str:
    planned = plan(registry, connection.settings.topic_prefix)
    if owner not in planned:
        raise SettingsError(f"{owner} is no lab and no agency of the registry, and no service: {', '.join(planned)}")
    ever = access.users() | {acl.user for acl in access.acls()}
    user = asyncio.run(numbered(connection, action, owner, ever))
    password = new_password()
    if out is not None:
        _keep(out, password)
    try:
        access.enrol(user, password, planned[owner])
    except BaseException:
        if out is not None:
            out.unlink()  # of a user that does not exist
        raise
    if out is not None:
        session.say(as_json, f"{user}: its password is in {out}", user=user, password_file=str(out))
    else:
        session.say(as_json, f"{user} {password}", user=user, password=password)
    return user


def _keep(out: Path, password: str) -> None:
    try:
        write_secret(out, password + os.linesep)
    except FileExistsError:
        raise SettingsError(f"--out {out}: is there already; a password never overwrites a file") from None
