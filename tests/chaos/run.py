"""One run: three brokers, two copies of all else, labs and agencies, faults from a seed, and the check in the end.

`python -m tests.chaos.run --seed 7 --minutes 5`, or `make chaos SEED=7 MINUTES=5`; a hundred short ones from seed 7 on:
`make chaos SEED=7 MINUTES=0 ARGS="--seeds 100"`. Exit: 0 nothing found, 1 a finding, 2 wrong arguments, 3 one could not
be run, 130 interrupted.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka.errors import KafkaError

from services.audit.run import audit
from services.kernel.credential_log import issue
from tests.broker import clocks
from tests.broker.deployment import Deployment
from tests.broker.doorway import DAY
from tests.broker.flow import AGENCIES, LABS
from tests.broker.receivers import SECRET, hooks, mails
from tests.chaos.checker import Checker, Times
from tests.chaos.cluster import Cluster
from tests.chaos.copies import COPIES
from tests.chaos.database import Database
from tests.chaos.door_checker import DoorChecker
from tests.chaos.faults import Faults
from tests.chaos.load import Load, registered
from tests.chaos.schedule import KINDS, bursts
from tests.chaos.watching import EVERY, false_alarms, succeeded

TWO_HOURS_A_SECOND = 7200
TEN_HOURS_A_SECOND = 36_000
"""In a run of one burst: its last window need not be waited for so long."""

PARTITIONS = 3
PER_SECOND = 5.0
THREADS = 48


@dataclass(slots=True)
class Outcome:
    """What a run was, and what it found. Times are in real seconds."""

    seed: int
    minutes: float
    bursts: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    statements: int = 0
    said_again: int = 0
    door_answers: dict[int, int] = field(default_factory=dict)
    watchdog_rounds: int = 0
    timed_windows: int = 0
    alerts: int = 0
    timers: int = 0
    latest_timer_seconds: float = 0.0
    longest_trouble_seconds: float = 0.0
    registry_versions: int = 1
    findings: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """A plain report."""
        about = {name.replace("_", " "): value for name, value in asdict(self).items() if name != "findings"}
        shown = [f"  {name:24} {_shown(value)}" for name, value in about.items()]
        again = f"again: python -m tests.chaos.run --seed {self.seed} --minutes {self.minutes:g}"
        found = [f"  FOUND: {finding}" for finding in self.findings]
        return [*shown, *found, f"  {len(self.findings)} findings; {again}" if found else "  nothing found"]


async def chaos(
    seed: int,
    seconds: float,
    folder: Path,
    say: Callable[[str], None],
    *,
    kinds: tuple[str, ...] = KINDS,
    copies: int = COPIES,
    partitions: int = PARTITIONS,
    rate: int = TWO_HOURS_A_SECOND,
    per_second: float = PER_SECOND,
) -> Outcome:
    """Bursts begin until the time is up; then all settles and is checked."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    outcome = Outcome(seed, round(seconds / 60, 2))
    cluster, database = Cluster(folder), Database(folder / "postgresql")
    with hooks() as hooked, mails() as mailed:
        try:
            database.start()
            await cluster.start()
            began = datetime.now(UTC)
            env, clock = clocks.since(began, rate=rate)
            env |= {"HOOK_SECRET": SECRET, "HERALD_KAFKA__REPLICATION_FACTOR": "3"}
            env |= {"HERALD_DOOR__DATABASE": database.url, "HERALD_DATA": str(folder), "HERALD_DOOR__BURST": "2000"}
            env |= {"HERALD_WATCHDOG__EVERY": EVERY}
            deployment = Deployment(cluster.bootstrap_servers, "chaos.", folder, partitions=partitions, env=env)
            deployment.login = {"replication_factor": 3}
            load = Load(cluster.bootstrap_servers, deployment.prefix, clock, per_second)
            times = Times(began, rate)
            faults = Faults(deployment, cluster, database, load, hooked, mailed, say)
            try:
                await deployment.prepare(registered(1, hooked, mailed))
                for one in (*LABS, *AGENCIES):
                    load.doors.tokens[one] = await issue(deployment.connection, one, "a run", DAY, datetime.now(UTC))
                faults.copies.start(copies)
                await faults.recovered()
                load.start()
                times.troubled.append((began.timestamp(), time.time()))
                until = time.monotonic() + seconds
                for number, burst in enumerate(bursts(seed, kinds), 1):
                    start = time.time()
                    say(f"burst {number}, {start - began.timestamp():.0f} s after the start")
                    await faults.burst(burst)
                    await faults.recovered()
                    times.troubled.append((start, time.time()))
                    outcome.bursts = number
                    say(f"  {'not ' if faults.findings else ''}recovered after {time.time() - start:.0f} s")
                    if time.monotonic() > until or faults.findings:
                        break
                    await asyncio.sleep(burst.quiet)
                say("no more faults or statements: waits until every window has ended")
                await asyncio.gather(load.settle(), faults.rest())
                say("checks what everybody was told")
                checker, behind = Checker(deployment, load, times, hooked, mailed), DoorChecker(deployment, load)
                try:
                    await checker.run()
                    await behind.run()
                    report = await audit(deployment.connection, clock=clock, grace=timedelta(0))
                    outcome.findings += [f"herald audit: {one.line}" for one in report.differences]
                except KafkaError as error:  # of partitions that nobody leads any more, say
                    outcome.findings.append(f"not all of it can be checked: {error}")
                outcome.findings += faults.findings + checker.differences + behind.differences
                outcome.findings += false_alarms(deployment.processes, times.troubled)
                outcome.faults, outcome.ended = dict(faults.done), dict(faults.copies.ended)
                outcome.statements, outcome.said_again = load.statements, load.again
                outcome.door_answers = dict(sorted(load.doors.statuses.items()))
                outcome.watchdog_rounds = succeeded(deployment.processes)
                outcome.timed_windows, outcome.registry_versions = len(load.timed), load.version
                outcome.alerts = sum(len(got) for topic, got in load.got.items() if topic.startswith("alerts."))
                outcome.timers, outcome.latest_timer_seconds = checker.timers, round(checker.latest, 2)
                outcome.longest_trouble_seconds = round(max(end - start for start, end in times.troubled[1:]), 1)
            finally:
                await load.stop()
                deployment.stop()
        finally:
            database.stop()
            cluster.stop()
    return outcome


def _shown(value: object) -> str:
    return ", ".join(f"{name} {count}" for name, count in value.items()) if isinstance(value, dict) else str(value)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description="faults on three brokers")
    parser.add_argument("--seed", type=int, default=1, help="what goes wrong, and when")
    parser.add_argument("--seeds", type=int, default=1, help="so many runs, each with the next seed")
    parser.add_argument("--minutes", type=float, default=5.0, help="bursts begin until so long after the start; 0: one")
    parser.add_argument("--only", action="append", choices=KINDS, help="this kind of fault; may be repeated")
    parser.add_argument("--partitions", type=int, default=PARTITIONS, help="of internal topics")
    parser.add_argument("--keep", type=Path, help="for what runs leave, by seed; without it logs of findings stay")
    parser.add_argument(
        "--json", action="store_true", help="each report as a line of JSON; the schedule goes to stderr"
    )
    given = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr if given.json else sys.stdout, flush=True)

    failed, unrun = [], []
    for seed in range(given.seed, given.seed + given.seeds):
        try:
            outcome = _run(seed, given, say)
        except KeyboardInterrupt:
            print("interrupted; everything that it started has ended", file=sys.stderr)
            return 130
        except Exception as error:
            print(f"seed {seed} could not be run: {type(error).__name__}: {error}", file=sys.stderr)
            unrun.append(str(seed))
            continue
        if outcome.findings:
            failed.append(str(seed))
        print(json.dumps(asdict(outcome)) if given.json else "\n".join(outcome.lines()), flush=True)
    if given.seeds > 1:
        found = f"findings with {', '.join(failed)}" if failed else "nothing found"
        say(f"{given.seeds} seeds, {found}" + (f"; not run: {', '.join(unrun)}" if unrun else ""))
    return 3 if unrun else 1 if failed else 0


def _run(seed: int, given: argparse.Namespace, say: Callable[[str], None]) -> Outcome:
    """One seed. What it leaves is removed unless it is to be kept; of a run that found something all logs stay."""
    kept: Path | None = given.keep and (given.keep / f"seed-{seed}").absolute()
    folder = kept or Path(tempfile.mkdtemp(prefix="herald-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    kinds = tuple(given.only) if given.only else KINDS
    rate = TWO_HOURS_A_SECOND if given.minutes else TEN_HOURS_A_SECOND
    found = False
    try:
        outcome = asyncio.run(
            chaos(seed, given.minutes * 60, folder, say, kinds=kinds, rate=rate, partitions=given.partitions)
        )
        found = bool(outcome.findings)
        return outcome
    finally:
        if found:
            say(f"  logs of seed {seed}: {folder}")
        if kept is None and found:
            _leave_logs(folder)
        elif kept is None:
            shutil.rmtree(folder)


def _leave_logs(folder: Path) -> None:
    for there in folder.iterdir():
        if there.is_dir():
            shutil.rmtree(there)
        elif there.suffix != ".log":
            there.unlink()


if __name__ == "__main__":
    sys.exit(main())
