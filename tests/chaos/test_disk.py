"""A disk that is full takes what there is room for and no more, one that is slow takes its time, and both heal."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from services.embedded import EmbeddedError
from services.embedded.broker import Broker
from tests.chaos.client import QUIET
from tests.chaos.disk import Disk, library
from tests.scale import long_run

WRITES = """
import json, os, sys, time

file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
reads, writes = os.pipe()
for line in sys.stdin:
    began = time.monotonic()
    try:
        match line.strip():
            case "write": came = os.write(file, b"0123456789")
            case "at": came = os.pwrite(file, b"0123456789", 0)
            case "parts": came = os.writev(file, [b"01234", b"56789"])
            case "sync": came = os.fsync(file)
            case "data": came = os.fdatasync(file)
            case "pipe": came = os.write(writes, b"0123456789")
    except OSError as error:
        came = error.strerror
    print(json.dumps([came, time.monotonic() - began]), flush=True)
"""
FULL = "No space left on device"
SLOW_SECONDS = 0.5

Asked = Callable[[str], tuple[Any, float]]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """One that can be hurt."""
    made = library(tmp_path)
    if made is None:
        pytest.skip("no C compiler here makes a disk that can be hurt")
    return Disk(tmp_path / "page", made)


@pytest.fixture
def asked(disk: Disk, tmp_path: Path) -> Any:
    """A process on that disk: what it is asked to do there, what came of it, and after how long."""
    command = [sys.executable, "-c", WRITES, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=disk.env) as process:

        def ask(what: str) -> tuple[Any, float]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(what + "\n")
            process.stdin.flush()
            came, seconds = json.loads(process.stdout.readline())
            return came, seconds

        yield ask


def test_the_last_write_that_finds_room_is_cut_short_and_the_next_one_finds_none(
    disk: Disk, asked: Asked, tmp_path: Path
) -> None:
    assert asked("write")[0] == 10
    disk.fill(13)
    assert [asked("write")[0] for _ in range(3)] == [10, 3, FULL]
    assert [asked(what)[0] for what in ("at", "parts", "sync", "pipe")] == [FULL, FULL, None, 10]
    disk.mend()
    assert [asked(what)[0] for what in ("write", "at", "parts")] == [10, 10, 10]
    assert (tmp_path / "file").read_bytes().startswith(b"0123456789" * 2 + b"012" + b"0123456789")


def test_writes_to_files_and_syncs_take_as_long_as_was_said_and_nothing_else_does(disk: Disk, asked: Asked) -> None:
    disk.slow(SLOW_SECONDS)
    for what in ("write", "at", "parts", "sync", "data"):
        assert asked(what)[1] >= SLOW_SECONDS, what
    assert asked("pipe")[1] < SLOW_SECONDS
    disk.mend()
    assert asked("write")[1] < SLOW_SECONDS


@long_run
def test_what_kafka_took_before_its_disk_ran_full_is_there_however_often_it_is_started_before_there_is_room(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in disk.env.items():
        monkeypatch.setenv(name, value)
    broker, taken = Broker(tmp_path / "data"), 0
    running = broker.start(print, owned=True)
    servers: dict[str, Any] = {"bootstrap.servers": running.bootstrap_servers} | QUIET
    admin = AdminClient(servers)
    admin.create_topics([NewTopic("full", 1, 1)])["full"].result()

    def count(error: Any, _: Any) -> None:
        nonlocal taken
        taken += error is None

    producer = Producer(servers | {"message.timeout.ms": 3000})
    while broker.status():
        producer.produce("full", b"x" * 500, on_delivery=count)
        producer.flush(5)
        if taken == 50:
            disk.fill(3000)
    assert "is full" in broker.last_words()
    room = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room._replace(free=0))
    for _ in range(2):
        with pytest.raises(EmbeddedError, match="is full"):
            broker.start(print, owned=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    disk.mend()
    broker.start(print, owned=True)
    try:
        consumer = Consumer(servers | {"group.id": "full"})
        assert consumer.get_watermark_offsets(TopicPartition("full", 0), timeout=20)[1] >= taken > 50
        consumer.close()
    finally:
        broker.stop()
