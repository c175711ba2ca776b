"""Reads secrets where their references say, anew at each call, so that a replaced one counts without a restart."""

import os

from schemas.endpoint import SecretRef

MAX_BYTES = 64 * 1024


class SecretError(Exception):
    """A secret cannot be had. It names the reference and what is wrong, never what was read."""


def read(ref: SecretRef) -> str:
    """The secret at `file:/absolute/path` or `env:NAME`, without the white space around it. Raises SecretError."""
    kind, _, place = ref.partition(":")
    if kind == "env":
        value = os.environ.get(place)
        if value is None:
            raise SecretError(f"{ref}: the deliveries service has no such variable in its environment")
    else:
        value = _in_file(ref, place)
    value = value.strip()
    if not value:
        raise SecretError(f"{ref}: it is empty")
    return value


def _in_file(ref: SecretRef, place: str) -> str:
    try:
        with open(place, "rb", opener=_at_once) as file:
            raw: bytes | None = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else "no such path can be"
        raise SecretError(f"{ref}: {what}: let the deliveries service read it") from None
    if raw is None or len(raw) > MAX_BYTES:
        raise SecretError(f"{ref}: it must be a file of at most {MAX_BYTES // 1024} KiB")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise SecretError(f"{ref}: it must be text in UTF-8") from None


def _at_once(path: str, flags: int) -> int:
    """Opens without waiting for a writer, should it be a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)
