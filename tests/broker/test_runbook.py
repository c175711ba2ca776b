"""The runbook's drills, one after the other on a `herald up`, command by command as they stand there."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.embedded.broker import Broker
from tests.broker.deployment import Deployment
from tests.broker.documented import ROOT
from tests.broker.test_command_line import RELEASE
from tests.repo.runbook import commands, quotes

pytestmark = pytest.mark.timeout(300)

BACKUPS = "/var/backups/herald"
WRONG = ("[cyber-offense, critical-infrastructure, autonomy]", "all")
"""The mistake: CISA hears of everything."""


@dataclass(slots=True)
class Operator:
    """Somebody who reads the runbook in a folder with a registry and a `herald up`."""

    folder: Path
    done: set[str] = field(default_factory=set)
    up: "subprocess.Popen[str] | None" = None
    said: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / ".herald"

    @property
    def env(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return clean | {"PATH": path, "PYTHONPATH": str(ROOT), "HERALD_PARTITIONS": "1"}

    def run(self, command: str, *, code: int = 0, pid: int = 0) -> str:
        """Runs one command as it stands, but for the place of back-ups and the PID; returns all that it says."""
        self.done.add(command)
        real = command.replace(BACKUPS, str(self.folder / "back-ups")).replace("PID", str(pid))
        shell = ["/bin/bash", "-ec", real]
        done = subprocess.run(
            shell, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def start(self, command: str = "herald up") -> None:
        """Runs it until it is ready."""
        self.done.add(command)
        self.said.clear()
        with (self.folder / "up.log").open("ab") as log:
            self.up = subprocess.Popen(
                command.split(), cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.until("ready, press Ctrl-C to stop")

    def until(self, words: str) -> str:
        """Takes what it says until it says this; returns that line."""
        assert self.up is not None
        assert self.up.stdout is not None
        for line in self.up.stdout:
            self.said.append(line)
            if words in line:
                return line
        pytest.fail(f"it ended without {words!r}: {''.join(self.said)} {(self.folder / 'up.log').read_text()}")

    def started(self, name: str) -> tuple[str, int]:
        """Where a service says how it is, and its PID, as `herald up` has named them last."""
        found = re.findall(rf"{name} started: (\S+) \(pid (\d+)\)", "".join(self.said))
        return found[-1][0], int(found[-1][1])

    def stop(self) -> None:
        """Ctrl-C."""
        if self.up is not None and self.up.poll() is None:
            self.up.send_signal(signal.SIGINT)
            self.up.communicate(timeout=60)

    def announce(self, reference: str) -> None:
        """A lab announces a release of which the Department of Defense and CAISI are to hear."""
        text = RELEASE.format(reference=reference, opens="P14D").replace("cyber-offense", "biology")
        (self.folder / "release.yaml").write_text(text)
        self.run("herald announce release.yaml --lab aurora-labs")

    async def told(self, agency: str, count: int) -> list[tuple[str, str]]:
        """What an agency was told, once it is so much: the reference, where it is named, and the kind."""
        running = Broker(self.data).status()
        assert running is not None
        there = Deployment(running.bootstrap_servers, "herald.", self.folder)
        alerts = await there.settled(f"alerts.{agency}", count, seconds=60)
        return [(e["data"].get("content", {}).get("reference", ""), e["data"]["kind"]) for e in alerts]

    def rows(self, wanted: dict[str, list[Any]] | None = None) -> dict[str, list[Any]]:
        """What the door answers from; waits, bounded, for what is wanted. How far it has read grows by the watchdog."""
        for _ in range(300):
            with sqlite3.connect(self.data / "door.db") as database:
                names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                found = {name: sorted(database.execute(f"SELECT * FROM {name}"), key=repr) for name in sorted(names)}  # noqa: S608
            del found["positions"]
            if wanted is None or found == wanted:
                break
            time.sleep(0.1)
        return found


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """The operator; what was started ends with the test."""
    found = Operator(tmp_path)
    shutil.copy(ROOT / "deploy" / "registry.yaml", tmp_path / "registry.yaml")
    yield found
    found.stop()


def frozen(address: str) -> bool:
    """Whether a service does not answer."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=1):  # noqa: S310 - on loopback
            return False
    except OSError:
        return True


async def test_every_drill_of_the_runbook_goes_as_it_says(operator: Operator) -> None:
    operator.start()
    (apply,) = commands("Upgrades")
    operator.run(apply)
    assert "nothing to change: version 1 stands" in operator.run(apply)
    operator.announce("halo-4")
    assert await operator.told("dod", 1) == [("halo-4", "scheduled")]

    # A mistake in the registry.
    right = operator.folder / "registry.yaml"
    wrong = operator.folder / "wrong.yaml"
    wrong.write_text(right.read_text().replace(*WRONG))
    said = operator.run("herald registry apply wrong.yaml --yes")
    assert quotes("*would newly disclose*")
    assert "would newly disclose aurora-labs/halo-4 (scheduled) to cisa" in said
    assert await operator.told("cisa", 1) == [("halo-4", "scheduled")]
    history, mend, disclosures = commands("A mistake in the registry")
    assert "version 2" in operator.run(history)
    operator.run(mend)
    assert await operator.told("cisa", 2) == [("halo-4", "scheduled"), ("", "no-longer-addressed")]
    assert "cisa" in operator.run(disclosures)

    # A service is frozen.
    address, pid = operator.started("windows")
    os.kill(pid, signal.SIGSTOP)
    operator.announce("halo-5")
    assert frozen(address)
    assert len(await operator.told("dod", 1)) == 1
    (kill,) = commands("A service is frozen")
    operator.run(kill, pid=pid)
    died = "windows died: ended with code -9; starting it again"
    assert quotes(f"*{died}*")
    operator.until(died)
    assert await operator.told("dod", 2) == [("halo-4", "scheduled"), ("halo-5", "scheduled")]

    # Back-up and restore; Kafka's disk is lost, and the database.
    backup, move, restore, up, rebuild = commands("Back-up and restore")
    assert "runs on" in operator.run(backup, code=1)
    operator.stop()
    before = operator.rows()
    assert before["edge_events"]
    shutil.rmtree(operator.folder / "back-ups" / "monday")
    operator.run(backup)
    operator.run(move)
    operator.run(restore)
    shutil.rmtree(operator.data / "kafka" / "logs")
    gone = "and its logs are gone"
    assert quotes(f"*a Kafka ran on …, {gone}*")
    assert gone in operator.run(up, code=1)
    restore, up = commands("Kafka's disk is lost")
    operator.run(restore)
    for left in operator.data.glob("door.db*"):
        left.unlink()
    operator.start(up)
    assert operator.rows(before) == before
    assert commands("The database is lost") == [rebuild]
    operator.run(rebuild)
    assert operator.rows(before) == before

    # And it goes on: nothing is told again.
    operator.announce("halo-6")
    assert await operator.told("dod", 3) == [(name, "scheduled") for name in ("halo-4", "halo-5", "halo-6")]
    assert len(await operator.told("cisa", 2)) == 2
    headings = ("Upgrades", "Back-up and restore", "Disasters")
    assert {line for heading in headings for line in commands(heading)} <= operator.done
