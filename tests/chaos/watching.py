"""The watchdogs of a run, by their logs: which rounds came through, and which were said to have failed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.broker import clocks
from tests.broker.deployment import Process

EVERY = "PT30S"
"""A round has so long too: three brokers and fifteen processes on two cores may take 10 s, and nothing is wrong."""

CLOCK, _ = clocks.since(datetime.now(UTC), begins=clocks.BEGINS + timedelta(days=3650))
"""In real seconds, for they beat once a minute; so far ahead that no window of theirs opens in the services' time."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round, in real seconds since 1970."""

    began: float
    ended: float
    succeeded: bool
    missing: str


def rounds(log: Path) -> list[Round]:
    """Those that a watchdog has ended, in order."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if '"watchdog_round_' in line:
            said = json.loads(line)
            ended = datetime.fromisoformat(said["logged_at"]).timestamp()
            passed = said["event"] == "watchdog_round_succeeded"
            found.append(Round(ended - said["seconds"], ended, passed, said.get("missing", "")))
    return found


def succeeded(processes: Iterable[Process]) -> int:
    """How many rounds came through."""
    return sum(one.succeeded for one in _all(processes))


def false_alarms(processes: Iterable[Process], troubled: Iterable[tuple[float, float]]) -> list[str]:
    """Rounds that are said to have failed although nothing was wrong from their beginning to their end."""
    times = list(troubled)
    return [
        f"a watchdog missed {one.missing} while nothing was wrong"
        for one in _all(processes)
        if not one.succeeded and not any(one.began < end and start < one.ended for start, end in times)
    ]


def _all(processes: Iterable[Process]) -> list[Round]:
    return [one for process in processes if process.name == "watchdog" for one in rounds(process.log)]
