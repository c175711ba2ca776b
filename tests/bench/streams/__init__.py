"""Kafka Streams with exactly_once_v2 in four hops: the peer that Herald's latency is held against."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka.admin import NewTopic

from services.embedded.distribution import KAFKA_VERSION, cache_folder
from services.embedded.lifeline import tied
from services.kernel.connection import Connection

HOPS = ("hop0", "hop1", "hop2", "hop3", "hop4")
COORDINATES = f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
SOURCE = Path(__file__).parent / "FourHops.java"


class Unavailable(Exception):
    """Kafka Streams cannot run here: one line why."""


def compiled() -> str:
    """The class path of the compiled topology; fetched and compiled once a user. Raises Unavailable."""
    if shutil.which("javac") is None:
        raise Unavailable("there is no javac on this machine")
    folder = cache_folder().with_name(f"streams-{KAFKA_VERSION}")
    jars = folder / "jars"
    if not (folder / "complete").exists():
        _fetch(jars)
        (folder / "complete").touch()
    classes = folder / "classes"
    done = subprocess.run(
        ["javac", "-cp", f"{jars}/*", "-d", str(classes), str(SOURCE)],  # noqa: S607 - the machine's own compiler
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"javac: {done.stderr.strip().splitlines()[0]}")
    return f"{classes}{os.pathsep}{jars}/*"


async def make_topics(connection: Connection, partitions: int) -> None:
    """Makes the topics between the hops."""
    admin = connection.admin()
    await admin.start()
    try:
        await admin.create_topics([NewTopic(connection.topic(name), partitions, 1) for name in HOPS])
    finally:
        await admin.close()


def _fetch(jars: Path) -> None:
    import jgo

    jars.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as resolved:
        try:
            root = Path(jgo.build(COORDINATES, cache_dir=Path(resolved)).path)
        except Exception as error:
            raise Unavailable(f"cannot fetch Kafka Streams {KAFKA_VERSION}: {error}") from error
        for jar in [*(root / "jars").glob("*.jar"), *(root / "modules").glob("*.jar")]:
            shutil.copyfile(jar, jars / jar.name)


class Streams:
    """The four hops in a process of their own, for the time of a `with`."""

    def __init__(self, classpath: str, bootstrap: str, prefix: str, commit_ms: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        log = Path(self._folder.name) / "streams.log"
        java = [
            str(shutil.which("java")),
            "-Xmx512m",
            "-XX:+UseParallelGC",  # as the broker, so that neither stands still for longer
            "-XX:ParallelGCThreads=2",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ]
        with log.open("wb") as words:
            self._process = subprocess.Popen(
                tied([*java, "-cp", classpath, "FourHops", bootstrap, prefix, str(commit_ms), self._folder.name]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != b"READY":
            raise Unavailable(f"Kafka Streams ended: {log.read_text()[-500:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._process.stdout.close()
        self._process.stdin.close()
        self._folder.cleanup()
