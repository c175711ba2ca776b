"""Cold copies of a data directory, with a hash of each file: Kafka's logs whole, so that every offset stays as it was.

A copy topic by topic would number records anew (transaction markers and compaction leave gaps), and a shard goes on at
a number. Nothing may run on the directory meanwhile.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from services.embedded import EmbeddedError
from services.embedded.broker import UNFINISHED

MANIFEST = "manifest.json"
LEFT_OUT = {"kafka/.lock", "kafka/kafka.log", "kafka/server.properties", "up.lock", f"kafka/{UNFINISHED}"}
DYING_SECONDS = 5.0
"""So long a broker that was stopped may still hold its files: a process ends thread by thread."""

_LOGS = Path("kafka", "logs")
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied, and when the back-up was taken. `size` in bytes."""

    files: int
    size: int
    taken_at: str


def back_up(data: Path, target: Path, now: datetime | None = None) -> Copied:
    """Copies a data directory to a folder that is new or empty; the manifest, written last, makes it whole.

    Raises EmbeddedError: something runs there, nothing is there, or the folder holds something. And OSError.
    """
    data, target = data.resolve(), target.resolve()
    if not (data / _LOGS / "meta.properties").exists():
        raise EmbeddedError(f"{data} holds no Kafka: there is nothing to back up")
    if target == data or data in target.parents:
        raise EmbeddedError(f"{target} lies in {data}: choose a folder elsewhere, best on another machine")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise EmbeddedError(f"{target} is not empty: a back-up is made in a new folder")
    with _at_rest(data):
        files = {str(path): _copy(data / path, target / path) for path in _files(data)}
    taken_at = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    said: dict[str, Any] = {"herald": version("herald-early-access"), "taken_at": taken_at, "files": files}
    os.sync()
    (target / MANIFEST).write_text(json.dumps(said, indent=0))
    os.sync()
    return _counted(said)


def restore(backup: Path, data: Path) -> Copied:
    """Brings a data directory to what a back-up holds. Its hashes are compared before anything is written.

    Raises EmbeddedError: the back-up is not whole, something runs there, or another Kafka is there. And OSError.
    """
    backup, data = backup.resolve(), data.resolve()
    said = _verified(backup)
    (data / "kafka").mkdir(parents=True, exist_ok=True)
    with _at_rest(data):
        unfinished, logs = data / "kafka" / UNFINISHED, data / _LOGS
        if logs.exists() and any(logs.iterdir()) and not unfinished.exists():
            raise EmbeddedError(f"{data} holds a Kafka: move {data / 'kafka'} away first, or restore elsewhere")
        unfinished.touch()  # until all is there, no broker starts on a part of it
        for left in [*logs.glob("*"), *data.glob("door.db*")]:  # of an earlier try; of a later time
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        shutil.copymode(backup / "kafka", data / "kafka")  # a secured Kafka's is its owner's alone
        for name in said["files"]:
            _copy(backup / name, data / name)
        os.sync()
        unfinished.unlink()
    return _counted(said)


def _verified(backup: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads((backup / MANIFEST).read_text())
        files = said["files"].items()
    except (OSError, ValueError, KeyError):
        raise EmbeddedError(f"{backup} is no whole back-up: it has no {MANIFEST} that can be read") from None
    for name, about in files:
        path = backup / name
        if backup not in path.resolve().parents or not path.is_file() or _hash(path) != about["sha256"]:
            raise EmbeddedError(f"{path} is not what was backed up: take another back-up; nothing was changed")
    return said


def _counted(said: dict[str, Any]) -> Copied:
    sizes = [int(about["bytes"]) for about in said["files"].values()]
    return Copied(len(sizes), sum(sizes), str(said["taken_at"]))


@contextmanager
def _at_rest(data: Path) -> Iterator[None]:
    """Holds what a broker and `herald up` hold while they run. Raises EmbeddedError when one of them does."""
    with ExitStack() as stack:
        for name, remedy in (("up.lock", "stop `herald up`"), ("kafka/.lock", "`herald kafka stop` ends it")):
            lock = stack.enter_context((data / name).open("w"))
            if not _locked(lock):
                raise EmbeddedError(f"Herald or its Kafka runs on {data}: {remedy}; then try again")
        yield


def _locked(lock: IO[str]) -> bool:
    until = time.monotonic() + DYING_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        else:
            return True


def _files(data: Path) -> Iterator[Path]:
    """All but what a start makes anew, and the services' logs. Follows links: Kafka's logs may lie on a disk apart."""
    for folder, inner, names in os.walk(data, followlinks=True):
        if Path(folder) == data:
            inner[:] = [name for name in inner if name != "logs"]
        for path in (Path(folder, name) for name in sorted(names)):
            if str(path.relative_to(data)) not in LEFT_OUT and path.is_file():
                yield path.relative_to(data)


def _copy(source: Path, target: Path) -> dict[str, str]:
    """A file with its mode; what is empty in it stays a hole, as Kafka's indices are mostly. Returns size and hash."""
    _folder(source.parent, target.parent)
    digest = hashlib.sha256()
    with source.open("rb") as read, _private(target) as write:
        while chunk := read.read(_CHUNK):
            digest.update(chunk)
            if chunk.count(0) == len(chunk):
                write.seek(len(chunk), os.SEEK_CUR)
            else:
                write.write(chunk)
        size = write.tell()
        write.truncate(size)
    shutil.copymode(source, target)
    return {"bytes": str(size), "sha256": digest.hexdigest()}


def _private(target: Path) -> IO[bytes]:
    target.unlink(missing_ok=True)
    return os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")


def _folder(source: Path, target: Path) -> None:
    if not target.exists():
        _folder(source.parent, target.parent)
        target.mkdir()
        shutil.copymode(source, target)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
