"""`python -m tests.bench`: races against peers, alternating in one run, as ratios.

Absolute figures are this machine's; only ratios of contestants that ran side by side say something.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from services.embedded import EmbeddedError
from services.embedded.broker import Broker
from tests.bench.kept import keep
from tests.bench.long_races import LONG
from tests.bench.races import RACES, Bench, Race
from tests.bench.table import Row, as_json, text


def say(line: str) -> None:
    """Progress, beside the output."""
    print(line, file=sys.stderr, flush=True)


async def run(races: dict[str, Race], bench: Bench) -> list[Row]:
    """One race after the other."""
    rows: list[Row] = []
    for name, race in races.items():
        began = time.monotonic()
        say(f"— {name}")
        rows += await race(bench)
        say(f"— {name}: took {time.monotonic() - began:.0f} s")
    return rows


def main() -> int:
    """Runs the races and prints a table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="the table for machines")
    parser.add_argument("--only", default="", metavar="NAME", help="races with this in their name")
    parser.add_argument("--all", action="store_true", help=f"also the long ones: {'; '.join(LONG)}")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant (3)")
    parser.add_argument("--minutes", type=float, default=60, help="how long the soak lasts (60)")
    parser.add_argument("--keep", action="store_true", help="the docs' tables take over what was measured")
    given = parser.parse_args()
    known = RACES | LONG if given.all or given.only else RACES
    chosen = {name: race for name, race in known.items() if given.only in name}
    if not chosen:
        parser.error(f"--only {given.only}: no race has this in its name; there are: {'; '.join(known)}")
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before"
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        try:
            bootstrap = broker.start(say, owned=True).bootstrap_servers
            rows = asyncio.run(run(chosen, Bench(bootstrap, Path(folder), given.rounds, say, given.minutes)))
        except EmbeddedError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # what was just being opened complains at the end
            print("bench: interrupted; everything that it started has ended", file=sys.stderr)
            return 130
        finally:
            broker.stop()
    if given.keep:
        keep(rows, f"{given.rounds} rounds, {load}")
    if given.json:
        print(json.dumps({"cores": os.cpu_count(), "rounds": given.rounds, "races": as_json(rows)}, indent=1))
    else:
        print(text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
