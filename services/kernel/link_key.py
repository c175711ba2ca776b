"""The key that signs acknowledgement links: from a file that all doors share, or made in the data directory."""

import os
import secrets
from pathlib import Path

from services.kernel.settings import Settings, SettingsError

SHORTEST = 32


def link_key(settings: Settings) -> bytes:
    """The key. Another key voids every link. Raises SettingsError: not readable, or too short."""
    path = settings.door.link_key_file or _own(settings.data / "link.key")
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"HERALD_DOOR__LINK_KEY_FILE: cannot read {path}: {error.strerror}") from None
    if len(key) < SHORTEST:
        raise SettingsError(
            f"HERALD_DOOR__LINK_KEY_FILE: {path} holds {len(key)} bytes; a key has at least {SHORTEST} random ones, "
            "as `openssl rand -hex 32` writes"
        )
    return key


def _own(path: Path) -> Path:
    """Makes the file where there is none: whole or not at all, for this user alone."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(SHORTEST))
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass  # another door was quicker: its key counts
    finally:
        fresh.unlink()
    return path
