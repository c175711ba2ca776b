"""The door that cannot start says why in one line, and ends with a documented code."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from services.embedded.ports import LOOPBACK, free
from tests.broker.documented import ROOT
from tests.repo.runbook import quotes


def started(data: Path, *command: str, **settings: str) -> tuple[int, str]:
    """How a door, or another command, ended without a Kafka: its code and what it said."""
    nowhere = {"HERALD_KAFKA__BOOTSTRAP_SERVERS": f"{LOOPBACK}:{free()}", "HERALD_DATA": str(data)}
    env = os.environ | nowhere | settings
    python = [sys.executable, "-m", *(command or ["services.gateway.door"])]
    done = subprocess.run(python, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.strip()


def test_without_kafka_it_says_so(tmp_path: Path) -> None:
    code, said = started(tmp_path)
    assert code == 1
    assert said.startswith("herald door: cannot reach Kafka: ")


def test_on_a_database_of_a_later_version_it_says_so(tmp_path: Path) -> None:
    started(tmp_path)
    with sqlite3.connect(tmp_path / "door.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    code, said = started(tmp_path)
    assert code == 1
    assert said.startswith("herald door: the read model's tables are of a later version of Herald")


def test_without_its_database_it_says_so_and_shows_no_password(tmp_path: Path) -> None:
    assert quotes("*cannot open the read model's database*")
    nowhere = f"{LOOPBACK}:{free()}/herald"
    code, said = started(tmp_path, HERALD_DOOR__DATABASE=f"postgresql://door:hush@{nowhere}")
    assert code == 1
    assert said.startswith(f"herald door: cannot open the read model's database postgresql://{nowhere}: ")
    assert "hush" not in said


def test_a_rebuild_without_its_database_says_so(tmp_path: Path) -> None:
    nowhere = f"postgresql://{LOOPBACK}:{free()}/herald"
    rebuild = ("services.cli.main", "read-model", "rebuild", "--yes")
    code, said = started(tmp_path, *rebuild, HERALD_DOOR__DATABASE=nowhere)
    assert code == 1
    assert said.startswith(f"herald: cannot open the read model's database {nowhere}: ")


@pytest.mark.parametrize("name", ["HERALD_PARTITIONS", "HERALD_DOOR__PORT"])
def test_a_setting_that_cannot_work_is_named(tmp_path: Path, name: str) -> None:
    code, said = started(tmp_path, **{name: "x"})
    assert code == 2
    assert said.startswith(f"herald door: {name}: ")
