"""A watchdog's failed round is a false alarm where nothing was wrong from its beginning to its end."""

import json
import subprocess
import sys
from pathlib import Path

from tests.broker.deployment import Process
from tests.chaos.watching import false_alarms, rounds, succeeded

FAILED = {"event": "watchdog_round_failed", "missing": "windows or notifier", "seconds": 10.0}
DONE = {"event": "watchdog_round_succeeded", "seconds": 0.5}


def watchdog(folder: Path, *said: dict[str, object]) -> Process:
    """One that has said these, ten seconds apart, the first at second 10."""
    log = folder / "watchdog.log"
    lines = [one | {"logged_at": f"1970-01-01T00:00:{10 * n:02}Z"} for n, one in enumerate(said, 1)]
    log.write_text("\n".join(["herald watchdog: not JSON", *map(json.dumps, lines)]))
    return Process("watchdog", subprocess.Popen([sys.executable, "-c", ""]), 0, log)


def test_a_round_that_fails_in_quiet_times_is_found(tmp_path: Path) -> None:
    one = watchdog(tmp_path, DONE, FAILED)
    assert [(each.began, each.ended, each.succeeded) for each in rounds(one.log)] == [(9.5, 10, True), (10, 20, False)]
    assert succeeded([one]) == 1
    found = ["a watchdog missed windows or notifier while nothing was wrong"]
    assert false_alarms([one], [(0, 9), (21, 30)]) == found


def test_a_round_that_fails_while_something_is_wrong_is_none(tmp_path: Path) -> None:
    one = watchdog(tmp_path, DONE, FAILED)
    assert false_alarms([one], [(0, 12)]) == []
    assert false_alarms([one], [(19, 30)]) == []
