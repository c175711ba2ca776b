"""The bench itself, with few events: contestants do the same work, and what it leaves behind is nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.embedded.lifeline import tied
from tests.bench import crowds, growing, material, soaking, throughput
from tests.bench.bounds import HERALD, IDIOM, RAW
from tests.broker.deployment import Deployment
from tests.scale import long_run

FEW = throughput.Race("few", "announcements", "releases", "announcements", 40)


async def test_every_contestant_writes_each_record_of_its_turn_once(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "IDIOM_COUNT", FEW.count)
    course = throughput.Course(FEW, kafka, "few.", tmp_path)
    await course.prepare()
    await course.fill(material.records(FEW.reads, FEW.count))
    for number, who in enumerate((RAW, IDIOM, HERALD), 1):
        turn = await course.run(who)
        assert min(turn.memory, turn.start) > 0, who
        written = await Deployment(kafka, "few.", tmp_path).read(FEW.writes, throughput.PARTITIONS)
        assert len(written) == number * FEW.count, who


@pytest.mark.timeout(240)
def test_ctrl_c_ends_the_bench_and_its_kafka_with_one_line(tmp_path: Path) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path)}
    command = tied([sys.executable, "-m", "tests.bench", "--only", "restore", "--rounds", "100"])
    bench = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
    assert bench.stderr is not None
    for line in bench.stderr:
        if line.startswith("— restore"):
            break
    time.sleep(0.5)  # in the midst of it, wherever that is
    bench.send_signal(signal.SIGINT)
    _, said = bench.communicate(timeout=90)
    assert bench.returncode == 130
    assert said.splitlines()[-1].startswith("bench: interrupted")
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


@long_run
@pytest.mark.timeout(600)
async def test_what_is_measured_at_scale_is_measured_at_any_size(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "EVENTS", 100)
    windows = growing.Growing(50, kafka, "growing.", tmp_path)
    await windows.prepare()
    turn = await windows.run()
    assert min(turn.restore, turn.memory, turn.cpu) > 0
    late = await crowds.timers(50, 5, kafka, "timers.", tmp_path)
    assert len(late) == 50
    assert late[0] >= 0
    ((first, last),) = await crowds.agencies(3, 1, kafka, "agencies.", tmp_path)
    assert first >= 0 <= last
    ready, told = await crowds.labs(3, kafka, "labs.", tmp_path)
    assert min(ready, told) > 0
    soaked = await soaking.run(0.5, print, kafka, "soak.", tmp_path)
    assert {what for _, what in soaked.slopes()} == set(soaking.LOOKS)
