"""`herald backup` and `herald restore`: a data directory, copied while nothing runs on it."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli import session
from services.embedded import backup as copies
from services.kernel.settings import SettingsError, load

Folder = Annotated[Path, typer.Argument(help="The back-up: a folder.")]


def backup(folder: Folder, data: session.Data = session.HERE, as_json: session.Json = False) -> None:
    """Copy a data directory to a new folder, with a hash of each file: Kafka's logs, the read model, keys and users.

    Nothing may run on it meanwhile; what falls due then happens, late, once Herald runs again. What the copy holds is
    as confidential as the directory.

    Example: herald backup /var/backups/herald/monday
    """
    _embedded()
    done = copies.back_up(data, folder)
    line = f"backed up {data} to {folder}: {done.files} files, {done.size / 1e6:.1f} MB"
    session.say(as_json, line, outcome="backed-up", files=done.files, bytes=done.size, taken_at=done.taken_at)


def restore(folder: Folder, data: session.Data = session.HERE, as_json: session.Json = False) -> None:
    """Bring a data directory to what a back-up holds. It may hold no Kafka; nothing is written before all is compared.

    What was said and decided since the back-up is gone from it: see deploy/runbook.md for what to do then.

    Example: herald restore /var/backups/herald/monday
    """
    _embedded()
    done = copies.restore(folder, data)
    line = (
        f"restored {data} to {done.taken_at}: {done.files} files, {done.size / 1e6:.1f} MB; `herald up` goes on there"
    )
    session.say(as_json, line, outcome="restored", files=done.files, bytes=done.size, taken_at=done.taken_at)


def _embedded() -> None:
    if load().kafka.bootstrap_servers:
        raise SettingsError(
            "HERALD_KAFKA__BOOTSTRAP_SERVERS names a Kafka of your own, whose disks this machine does not see: "
            "deploy/runbook.md says how it is backed up"
        )
