"""`herald up` through what befalls a data directory: it works again, or says in one line what to do."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewTopic

from services.embedded.broker import Broker, Running
from services.embedded.lifeline import tied
from services.kernel.connection import Connection
from services.kernel.settings import KafkaSettings
from tests.broker.deployment import Deployment
from tests.broker.test_embedded import gone
from tests.scale import long_run

pytestmark = pytest.mark.timeout(240)
TOPIC = "kept"


class Up:
    """One `herald up` on a data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._said = data.with_suffix(f".{time.monotonic_ns()}.log")
        env = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
        command = [sys.executable, "-m", "services.cli.main", "up", "--data", str(data), "--json"]
        with self._said.open("wb") as out:
            self.popen = subprocess.Popen(tied(command), stdout=out, stderr=subprocess.DEVNULL, env=env)

    def says(self, what: str, name: str, containing: str = "", times: int = 1) -> dict[str, Any]:
        """Waits until it has said so; fails with all that it said."""
        until = time.monotonic() + 90
        while time.monotonic() < until:
            lines = [json.loads(line) for line in self._said.read_text().splitlines()]
            found = [x for x in lines if (x["what"], x["name"]) == (what, name) and containing in x["detail"]]
            if len(found) >= times:
                return dict(found[-1])
            assert self.popen.poll() is None, lines
            time.sleep(0.1)
        raise AssertionError(self._said.read_text())

    @property
    def broker(self) -> Running:
        """Its broker."""
        running = Broker(self.data).status()
        assert running is not None
        return running

    def stop(self) -> None:
        """Ends it as Ctrl-C does."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
        self.popen.wait(40)


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    """Every `herald up` of a test, ended with it."""
    started: list[Up] = []
    yield started
    for up in started:
        up.stop()


def up_on(data: Path, ups: list[Up]) -> Up:
    """Starts one, and waits until it is ready."""
    ups.append(Up(data))
    ups[-1].says("ready", "herald")
    return ups[-1]


def connection(running: Running) -> Connection:
    """A client's way in."""
    return Connection(KafkaSettings(bootstrap_servers=running.bootstrap_servers, topic_prefix=""))


class Writer:
    """Writes records one by one, waits for each to be acknowledged, and remembers which were."""

    def __init__(self, running: Running, size: int = 10, topic: str = TOPIC) -> None:
        self.acknowledged: list[str] = []
        self._topic = topic
        self._connection = connection(running)
        self._size = size
        self._task = asyncio.create_task(self._write())

    async def has_written(self, count: int) -> None:
        """Waits for so many more."""
        until = len(self.acknowledged) + count
        while len(self.acknowledged) < until and not self._task.done():
            await asyncio.sleep(0.02)
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """Ends it where it stands."""
        self._task.cancel()
        await asyncio.wait([self._task], timeout=10)

    async def _write(self) -> None:
        admin = self._connection.admin()
        await admin.start()
        if self._topic not in await admin.list_topics():
            await admin.create_topics([NewTopic(self._topic, 1, 1)])
        await admin.close()
        producer, number = self._connection.producer(), 0
        await producer.start()
        try:
            while True:
                await producer.send_and_wait(self._topic, f"{number}:".encode().ljust(self._size, b"x"))
                self.acknowledged.append(str(number))
                number += 1
        finally:
            await asyncio.wait([asyncio.create_task(producer.stop())], timeout=3)


async def kept(running: Running, topic: str = TOPIC) -> list[str]:
    """What stands in a topic."""
    deployment = Deployment(running.bootstrap_servers, "", Path())
    return [record.value.decode().partition(":")[0] for record in await deployment.read(topic)]


@long_run
async def test_after_each_kill_9_it_works_again_and_nothing_acknowledged_is_lost(tmp_path: Path, ups: list[Up]) -> None:
    data = tmp_path / "data"
    up = up_on(data, ups)
    port = up.broker.port
    for number, victims in enumerate((["broker"], ["supervisor"], ["broker", "supervisor"])):
        before, writer = up.broker, Writer(up.broker, topic=f"kept-{number}")
        await writer.has_written(200)
        for victim, pid in {"broker": before.pid, "supervisor": up.popen.pid}.items():
            if victim in victims:
                os.kill(pid, signal.SIGKILL)
        if victims == ["broker"]:
            up.says("died", "kafka")
            up.says("listening", "kafka", times=2)
            await writer.has_written(200)
        await writer.stop()
        if "supervisor" in victims:
            assert gone(before.pid, 30)  # the broker ends with its supervisor
            up.popen.wait(30)
            up = up_on(data, ups)
        assert up.broker.port == port
        found = await kept(up.broker, f"kept-{number}")
        assert found[: len(writer.acknowledged)] == writer.acknowledged, victims


def mount(arguments: list[str]) -> bool:
    """Whether it could be mounted."""
    return not subprocess.run(["/bin/mount", *arguments], capture_output=True, check=False).returncode


def unmount(folder: Path) -> None:
    """Also while something still holds it."""
    subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


@long_run
async def test_a_full_disk_is_said_in_one_line_and_once_there_is_room_it_works_again(
    tmp_path: Path, ups: list[Up]
) -> None:
    data = tmp_path / "small"
    data.mkdir()
    if not mount(["-t", "tmpfs", "-o", "size=200m", "tmpfs", str(data)]):
        pytest.skip("a small disk of one's own can be mounted by root only")
    try:
        up = up_on(data, ups)
        ballast = data / "ballast"
        with ballast.open("wb") as file:
            file.write(b"x" * (shutil.disk_usage(data).free - 8 * 1024 * 1024))
        writer = Writer(up.broker, size=100_000)
        await asyncio.to_thread(up.says, "died", "kafka", "is full; make room")
        await writer.stop()
        ballast.unlink()
        up.says("listening", "kafka", times=2)
        found = await kept(up.broker)
        assert found[: len(writer.acknowledged)] == writer.acknowledged
        assert len(writer.acknowledged) > 10
        up.stop()
    finally:
        unmount(data)


@long_run
async def test_a_taken_port_and_a_copied_directory_stop_nobody(tmp_path: Path, ups: list[Up]) -> None:
    first = up_on(tmp_path / "data", ups)
    writer = Writer(first.broker)
    await writer.has_written(50)
    await writer.stop()
    shutil.copytree(tmp_path / "data", tmp_path / "copy", symlinks=True)  # while it runs
    second = up_on(tmp_path / "copy", ups)
    original, copied = first.broker, second.broker
    assert original.port != copied.port
    assert original.pid != copied.pid
    second.stop()
    assert Broker(tmp_path / "data").status() == original  # what ends the copy leaves the original alone
    assert (await kept(original))[:50] == writer.acknowledged[:50]
    first.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", original.port))
        other.listen()
        again = up_on(tmp_path / "data", ups)
        assert again.broker.port != original.port
        assert (await kept(again.broker))[:50] == writer.acknowledged[:50]
