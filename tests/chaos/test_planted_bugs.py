"""Nine bugs planted in a copy of Herald, one at a time: each is caught by a test of this folder or by a run.

Only in the long run (`make test-long`): a test that fails takes as long as one that passes. That each could still be
planted is looked at always.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scale import long_run

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"
SECONDS = 600
MINUTES = "2"
ALONE = ("--seed", "34", "--only", "a leader alone")
"""A run in which leaders stand alone, and die with their disks."""

CHANGED = ("--seed", "20", "--only", "change the registry", "--only", "kill a service")
"""One in which the registry changes early, and notifiers die afterwards."""

WITHOUT_DATABASE = ("--seed", "22")
"""One in which PostgreSQL is away early, while both doors run."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A line of Herald, what it becomes, the test that must fail, or the run that must, and how it must say so."""

    file: str
    line: str
    becomes: str
    caught_by: str | tuple[str, ...]
    saying: str


BUGS = {
    "the position written outside the transaction": Bug(
        "kernel/shard.py",
        "            taken = await transactions.write(outputs)\n",
        "            taken = await transactions.write(outputs[:-1])\n"
        "            await transactions.write(outputs[-1:])\n",
        "test_killed_just_after_a_commit",
        "too many",
    ),
    "fencing removed": Bug(
        "kernel/transaction.py",
        'transactional_id=f"{connection.settings.topic_prefix}{owner}",',
        'transactional_id=f"{connection.settings.topic_prefix}{owner}-{id(self)}",',
        "test_a_frozen_owner_that_thaws",
        "too many",
    ),
    "restoring before fencing": Bug(
        "kernel/shard.py",
        "        await self._transactions.start()  # from here an older owner is fenced, its open transaction aborted\n"
        "        with uncollected():\n"
        "            restored = await restore("
        "self._connection, self.service, self.number, trusting=self._trusting)\n",
        "        with uncollected():\n"
        "            restored = await restore("
        "self._connection, self.service, self.number, trusting=self._trusting)\n"
        "            await self._transactions.start()\n",
        "test_an_owner_that_commits_while_its_heir_opens",
        "too many",
    ),
    "a send not checked": Bug(
        "kernel/transaction.py",
        "                raise failure\n",
        "                continue\n",
        "test_what_the_broker_refuses_as_too_large",
        "AssertionError",
    ),
    "a record taken before the seek kept": Bug(
        "kernel/shard.py",
        "        inbox = Inbox(",
        '        inbox = getattr(self, "_inbox", None) or Inbox(',
        "test_a_transaction_longer_than_its_timeout",
        "too many",
    ),
    "a timer ahead of queued input": Bug(
        "kernel/shard.py",
        "if not self._horizon.is_complete_until(timer[1].due_at, inbox):",
        "if False:",
        "test_a_withdrawal_that_waits_in_the_queue",
        "opened",
    ),
    "min ISR ignored": Bug(
        "kernel/provision.py",
        "topic_configs=topic.config())",
        'topic_configs=topic.config() | {"min.insync.replicas": "1"})',
        ALONE,
        "FOUND",
    ),
    "a stale registry version used": Bug(
        "kernel/shard.py",
        "        ledger.registry = self._registry.in_force(sweep.offset + 1 if sweep else position)\n",
        "        ledger.registry = self._registry.in_force(1)\n",
        CHANGED,
        "under a stale version of the registry",
    ),
    "a read model that goes on behind what its database did not take": Bug(
        "gateway/model/projector.py",
        "        followed: set[str] = set()\n",
        "        followed: set[str] = self._topics() if self._next else set()\n",
        WITHOUT_DATABASE,
        "FOUND: door ",
    ),
}


def command(caught_by: str | tuple[str, ...]) -> list[str]:
    """What must fail, in the copy."""
    if isinstance(caught_by, str):
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", caught_by, "tests/chaos"]
    return [sys.executable, "-m", "tests.chaos.run", *caught_by, "--minutes", MINUTES]


@pytest.mark.parametrize("name", BUGS)
def test_each_line_in_which_a_bug_is_planted_is_there_once(name: str) -> None:
    bug = BUGS[name]
    assert (SERVICES / bug.file).read_text().count(bug.line) == 1, "Herald has changed: plant the bug anew"


@long_run
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught_within_ten_minutes(name: str, tmp_path: Path) -> None:
    bug, copy = BUGS[name], tmp_path / "herald"
    for folder in ("services", "schemas", "tests", "deploy", "docs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    file = copy / SERVICES.relative_to(ROOT) / bug.file
    file.write_text(file.read_text().replace(bug.line, bug.becomes))
    env = os.environ | {"PYTHONPATH": str(copy)}
    planted = command(bug.caught_by)
    done = subprocess.run(planted, cwd=copy, capture_output=True, text=True, timeout=SECONDS, check=False, env=env)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert isinstance(bug.caught_by, tuple) or "1 failed" in done.stdout
    assert bug.saying in done.stdout, done.stdout[-3000:]
