"""Six bugs planted in a copy of the kernel, one at a time: each is caught by a test of this folder.

Only in the long run (`make test-long`): a test that fails takes as long as one that passes.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scale import long_run

ROOT = Path(__file__).parents[2]
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Bug:
    """One line of the kernel, what it becomes, the test that must fail, and how it must say so."""

    file: str
    line: str
    becomes: str
    caught_by: str
    saying: str


BUGS = {
    "the position written outside the transaction": Bug(
        "shard.py",
        "        await transactions.write(outputs)\n",
        "        await transactions.write(outputs[:-1])\n        await transactions.write(outputs[-1:])\n",
        "test_killed_just_after_a_commit",
        "too many",
    ),
    "fencing removed": Bug(
        "transaction.py",
        'transactional_id=f"{connection.settings.topic_prefix}{owner}",',
        'transactional_id=f"{connection.settings.topic_prefix}{owner}-{id(self)}",',
        "test_a_frozen_owner_that_thaws",
        "too many",
    ),
    "restoring before fencing": Bug(
        "shard.py",
        "        await self._transactions.start()  # from here an older owner is fenced, its open transaction aborted\n"
        "        restored = await restore("
        "self._connection, self.service.state_topic, self.number, self.service.state)\n",
        "        restored = await restore("
        "self._connection, self.service.state_topic, self.number, self.service.state)\n"
        "        await self._transactions.start()\n",
        "test_an_owner_that_commits_while_its_heir_opens",
        "too many",
    ),
    "a send not checked": Bug(
        "transaction.py",
        "                raise failure\n",
        "                continue\n",
        "test_what_the_broker_refuses_as_too_large",
        "AssertionError",
    ),
    "a record taken before the seek kept": Bug(
        "shard.py",
        "        inbox = Inbox(",
        '        inbox = getattr(self, "_inbox", None) or Inbox(',
        "test_a_transaction_longer_than_its_timeout",
        "too many",
    ),
    "a timer ahead of queued input": Bug(
        "shard.py",
        "if not self._horizon.is_complete_until(timer[1].due_at, inbox):",
        "if False:",
        "test_a_withdrawal_that_waits_in_the_queue",
        "opened",
    ),
}


@long_run
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught_within_five_minutes(name: str, tmp_path: Path) -> None:
    bug, copy = BUGS[name], tmp_path / "herald"
    for folder in ("services", "schemas", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    kernel = copy / "services" / "kernel" / bug.file
    sound = kernel.read_text()
    assert sound.count(bug.line) == 1, "the kernel has changed: plant the bug anew"
    kernel.write_text(sound.replace(bug.line, bug.becomes))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", bug.caught_by, "tests/chaos"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1, done.stdout[-3000:]
    assert "1 failed" in done.stdout
    assert bug.saying in done.stdout, done.stdout[-3000:]
