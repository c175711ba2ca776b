"""The embedded Kafka: started, stopped, hurt; one clear line each, and no data lost."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from schemas.topics import SERVICES
from services.embedded import EmbeddedError
from services.embedded.broker import START_BYTES, Broker
from services.embedded.distribution import cache_folder, locate
from services.embedded.ports import free, is_listening
from services.kernel.connection import Connection
from services.kernel.settings import KafkaSettings
from tests.broker.deployment import Deployment
from tests.broker.flow import registry
from tests.broker.test_deployment import send, statement


def herald(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own."""
    command = [sys.executable, "-m", "services.cli.main", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=clean | env, check=False)


def gone(pid: int, seconds: float = 20) -> bool:
    """Whether a process ends within so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


async def test_after_kill_9_everything_that_was_acknowledged_is_still_there_on_the_same_port(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    first = broker.start(print, owned=True)
    deployment = Deployment(first.bootstrap_servers, "kept.", tmp_path)
    try:
        await deployment.prepare(registry())
        await send(deployment, "releases.lab-a", *[statement("kept", f"kept-{n}") for n in range(100)])
        os.kill(first.pid, signal.SIGKILL)
        second = broker.start(print, owned=True)  # at once: who is dying is not taken for alive
        assert second.port == first.port
        assert second.pid != first.pid
        found = await deployment.events("releases.lab-a")
        assert [event["id"] for event in found] == [f"kept-{n}" for n in range(100)]
        assert broker.start(print) == second  # starting it again finds it running
        with pytest.raises(EmbeddedError, match="already runs"):
            broker.start(print, port=free())
    finally:
        broker.stop()
    assert broker.status() is None


async def test_what_was_committed_when_the_broker_was_killed_is_there_whole_when_it_is_back(tmp_path: Path) -> None:
    """With so many partitions the ends of several transactions are still to be written when the first is confirmed."""
    broker = Broker(tmp_path)
    first = broker.start(print, owned=True)
    connection = Connection(KafkaSettings(bootstrap_servers=first.bootstrap_servers))
    producers = [connection.transactional(f"owner-{number}") for number in range(6)]
    heirs = [connection.transactional(f"owner-{number}") for number in range(6)]
    everywhere = [TopicPartition("many", number) for number in range(100)]
    admin = connection.admin()
    await admin.start()
    await admin.create_topics([NewTopic("many", len(everywhere), 1)])
    await admin.close()
    try:
        for producer in producers:
            await producer.start()
            await producer.begin_transaction()
            sent = [await producer.send("many", b"said", partition=one.partition) for one in everywhere]
            await asyncio.gather(*sent)
        commits = [asyncio.create_task(producer.commit_transaction()) for producer in producers]
        await asyncio.wait(commits, return_when=asyncio.FIRST_COMPLETED)
        os.kill(first.pid, signal.SIGKILL)
        await asyncio.to_thread(broker.start, print)
        await asyncio.gather(*commits)
        assert "DUPLICATE_BROKER_REGISTRATION" not in broker.log.read_text(), "it began while it was taken for alive"
        for heir in heirs:
            await heir.start()  # Kafka lets none in before it has ended what its forerunner committed
        async with connection.consumer() as consumer:
            consumer.assign(everywhere)
            ends = await consumer.end_offsets(everywhere)
            await consumer.seek_to_beginning(*everywhere)
            found: Counter[int] = Counter()
            for one in everywhere:
                while await consumer.position(one) < ends[one]:
                    for records in (await consumer.getmany(one, timeout_ms=500)).values():
                        found[one.partition] += len(records)
        assert found == {one.partition: len(producers) for one in everywhere}
    finally:
        for each in (*producers, *heirs):
            await each.stop()
        broker.stop()


def test_a_port_that_another_program_takes_meanwhile_is_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [free()]
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        offered = iter([*chosen, taken, free()])
        monkeypatch.setattr("services.embedded.broker.free", lambda: next(offered))
        broker = Broker(tmp_path)
        try:
            running = broker.start(print, owned=True)
            assert running.port == chosen[0]
            assert running.controller_port != taken
            assert broker.status() == running
        finally:
            broker.stop()


def test_a_port_that_is_taken_is_named_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = herald("kafka", "start", "--data", str(tmp_path), "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        f"herald: port {port} is taken by another program; choose another, or leave --port out"
    )


def test_status_tells_whether_it_runs_by_its_exit_code(tmp_path: Path) -> None:
    done = herald("kafka", "status", "--data", str(tmp_path), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (3, {"running": False})


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = herald("kafka", "start", "--data", str(tmp_path / "file"))
    assert done.returncode == 1
    assert "cannot use the data directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_users_directory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        Broker(tmp_path).start(print)


def test_a_full_disk_is_named_in_one_line(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.folder.mkdir(parents=True)
    broker.log.write_text("ERROR java.io.IOException: No space left on device\n")
    assert "is full; make room and start again" in broker.last_words()


def test_none_is_started_on_a_full_disk_where_it_would_empty_its_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil.disk_usage(tmp_path)._replace(free=START_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    with pytest.raises(EmbeddedError, match="is full; make room and start again"):
        Broker(tmp_path).start(print, owned=True)
    assert not Broker(tmp_path).log.exists()


def test_a_kafka_that_does_not_start_names_its_log(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    (broker.folder / "logs").mkdir(parents=True)
    (broker.folder / "logs" / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=77\n")
    with pytest.raises(EmbeddedError, match=str(broker.log)):
        broker.start(print, owned=True)


def test_a_half_finished_download_is_noticed_and_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = cache_folder()
    locate(print)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    damaged = cache_folder()
    damaged.parent.mkdir(parents=True)
    subprocess.run(["/bin/cp", "-r", str(good), str(damaged)], check=True)
    victim = max((damaged / "jars").glob("*.jar"), key=lambda jar: jar.stat().st_size)
    whole = victim.stat().st_size
    with victim.open("r+b") as jar:
        jar.truncate(whole // 2)
    said: list[str] = []
    assert str(damaged) in locate(said.append).classpath
    assert victim.stat().st_size == whole
    assert any("incomplete" in line for line in said)


def test_kafka_home_and_java_home_are_used_where_they_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(EmbeddedError, match="KAFKA_HOME"):
        locate(print)
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka_2.13-4.3.0.jar").touch()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EmbeddedError, match="JAVA_HOME"):
        locate(print)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch()
    assert locate(print).java == tmp_path / "bin" / "java"


def test_an_existing_cluster_is_used_and_nothing_is_started(kafka: str, tmp_path: Path) -> None:
    env = {"HERALD_KAFKA__BOOTSTRAP_SERVERS": kafka, "HERALD_KAFKA__TOPIC_PREFIX": "existing."}
    (tmp_path / "registry.yaml").write_text("labs: {lab-a: {name: A}}\nagencies: {agency-a: {name: A}}\n")
    done = herald("registry", "apply", str(tmp_path / "registry.yaml"), "--yes", HERALD_DATA=str(tmp_path), **env)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "kafka").exists()
    assert Connection(KafkaSettings(bootstrap_servers=kafka)).settings.bootstrap_servers == kafka


def targets(data: Path) -> list[dict[str, Any]]:
    """What Prometheus finds of a `herald up`."""
    found: list[dict[str, Any]] = json.loads((data / "targets.json").read_text())
    return found


@pytest.mark.timeout(120)
def test_herald_up_restarts_what_dies_refuses_a_second_and_leaves_nothing_behind_after_kill_9(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.cli.main", "up", "--data", str(tmp_path), "--json"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
    with (tmp_path / "up.log").open("wb") as log:
        up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=clean)
    assert up.stdout is not None
    pids: dict[str, int] = {}
    addresses: dict[str, list[str]] = {}
    try:
        for line in up.stdout:
            said = json.loads(line)
            if said["what"] == "started":
                addresses[said["name"]] = [said["detail"].removeprefix("http://").split()[0]]
                pids[said["name"]] = int(said["detail"].split("pid ")[1].rstrip(")"))
            if said["what"] == "ready":
                break
        assert pids.keys() == {*SERVICES, "door", "watchdog"}, (tmp_path / "up.log").read_text()
        assert {one["labels"]["service"]: one["targets"] for one in targets(tmp_path)} == addresses
        second = herald("up", "--data", str(tmp_path))
        assert second.returncode == 1
        assert "another `herald up` runs" in second.stderr
        before = pids["windows"]
        os.kill(before, signal.SIGKILL)
        for line in up.stdout:
            said = json.loads(line)
            if said["what"] == "died":
                assert "windows.log" in said["detail"]
            if said["what"] == "started" and said["name"] == "windows":
                pids["windows"] = int(said["detail"].split("pid ")[1].rstrip(")"))
                break
        assert pids["windows"] != before
        running = Broker(tmp_path).status()
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)  # and so does the broker
        for line in up.stdout:
            said = json.loads(line)
            if said["what"] == "listening" and said["name"] == "kafka":
                assert said["detail"] == running.bootstrap_servers
                break
        running = Broker(tmp_path).status()
        assert running is not None
    finally:
        up.kill()
        up.wait()
    assert all(gone(pid) for pid in [*pids.values(), running.pid])
    assert not is_listening(running.port)
    assert targets(tmp_path)  # they are missing, and Prometheus says so


@pytest.mark.skipif(not shutil.which("java"), reason="no Java is installed here")
def test_a_java_that_is_installed_here_runs_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = Path(shutil.which("java") or "").resolve()
    monkeypatch.setenv("JAVA_HOME", str(installed.parents[1]))
    assert locate(print).java.resolve() == installed
    broker = Broker(tmp_path)
    try:
        assert broker.start(print, owned=True) == broker.status()
    finally:
        broker.stop()
