"""`python -m tests.bench [--json] [--only NAME] [--rounds N]`: the races, alternating in one run, as ratios.

Absolute figures are this machine's; only ratios of contestants that ran side by side say something.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from services.embedded.broker import Broker
from tests.bench import delivering, door, endpoints, latency, material, throughput, tracing
from tests.bench.plot import plot
from tests.bench.streams import Unavailable, compiled

RATES = {20: 12, 100: 10}
PICTURE = Path(__file__).parents[2] / "docs" / "bench.svg"


def say(line: str) -> None:
    """Progress, beside the output."""
    print(line, file=sys.stderr, flush=True)


async def backlogs(bootstrap: str, folder: Path, rounds: int, only: str) -> list[dict[str, Any]]:
    """Events a second of each race, Herald and the bare engine taking turns."""
    rows = []
    for number, race in enumerate(race for race in throughput.RACES if only in race.name):
        records = material.records(race.reads, race.count, race.agencies)
        found: dict[str, list[float]] = {"raw": [], "herald": []}
        for turn in range(rounds):
            for who, rates in found.items():
                prefix = f"{who}{number}{turn}."
                rates.append(await throughput.run(race, who, bootstrap, prefix, folder, records))
                say(f"{race.name}, {who}: {rates[-1]:,.0f} events/s")
        ratios = sorted(h / r for h, r in zip(found["herald"], found["raw"], strict=True))
        rows.append(
            {
                "race": race.name,
                "unit": "events/s",
                "herald": statistics.median(found["herald"]),
                "peers": {"raw aiokafka": statistics.median(found["raw"])},
                "ratios": {"raw aiokafka": statistics.median(ratios)},
                "spread": [ratios[0], ratios[-1]],
            }
        )
    return rows


async def latencies(bootstrap: str, folder: Path, rounds: int) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """Milliseconds from announce to alert, at each rate; and the samples for the picture."""
    try:
        classpath = compiled()
    except Unavailable as error:
        say(f"Kafka Streams does not run here: {error}")
        classpath = ""
    contestants = [who for who, peer in latency.CONTESTANTS.items() if peer is None or classpath]
    samples: dict[tuple[str, int], list[float]] = {(who, rate): [] for who in contestants for rate in RATES}
    for turn in range(rounds):
        for number, who in enumerate(contestants):
            found = await latency.run(who, bootstrap, f"four{number}{turn}.", folder, classpath, RATES)
            for rate, milliseconds in found.items():
                samples[who, rate] += milliseconds
                say(f"{who} at {rate}/s: p50 {statistics.median(milliseconds):.0f} ms")
    rows = []
    for rate in RATES:
        for name, share in (("p50", 50), ("p99", 99)):
            value = {who: statistics.quantiles(samples[who, rate], n=100)[share - 1] for who in contestants}
            ours = value.pop("Herald")
            ratios = {who: ours / theirs for who, theirs in value.items()}
            row = {"race": f"announce to alert at {rate}/s, {name}", "unit": "ms", "herald": ours, "peers": value}
            rows.append(row | {"ratios": ratios})
    return rows, {f"{who}, {rate}/s": sorted(found) for (who, rate), found in samples.items()}


async def doors(bootstrap: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Requests a second and p99 of the HTTP door and of the bare endpoint, taking turns."""
    found = await door.run(bootstrap, "door.", folder, rounds * door.TURNS)
    rows = []
    for index, (name, unit) in enumerate((("door, POST /v1/releases", "requests/s"), ("door, p99", "ms"))):
        ours, theirs = [[one[index] for one in found[who]] for who in (door.HERALD, door.BARE)]
        ratios = sorted(h / t for h, t in zip(ours, theirs, strict=True))
        rows.append(
            {
                "race": name,
                "unit": unit,
                "herald": statistics.median(ours),
                "peers": {door.BARE: statistics.median(theirs)},
                "ratios": {door.BARE: statistics.median(ratios)},
                "spread": [ratios[0], ratios[-1]],
            }
        )
    return rows


async def couriers(bootstrap: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Webhooks a second of one delivery worker and of a bare loop, taking turns."""
    found = await delivering.run(bootstrap, "courier.", folder, rounds * delivering.TURNS)
    ratios = sorted(h / b for h, b in zip(found[delivering.HERALD], found[delivering.BARE], strict=True))
    return [
        {
            "race": "deliveries by webhook",
            "unit": "deliveries/s",
            "herald": statistics.median(found[delivering.HERALD]),
            "peers": {delivering.BARE: statistics.median(found[delivering.BARE])},
            "ratios": {delivering.BARE: statistics.median(ratios)},
            "spread": [ratios[0], ratios[-1]],
        }
    ]


async def traced(bootstrap: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Events a second with every event exported as a span, and with tracing off, taking turns."""
    found = await tracing.run(bootstrap, "tracing.", folder, rounds * tracing.TURNS)
    ratios = sorted(on / off for on, off in zip(found[tracing.ON], found[tracing.OFF], strict=True))
    say(f"tracing, pair by pair: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    return [
        {
            "race": "tracing, every event exported",
            "unit": "events/s",
            "herald": statistics.median(found[tracing.ON]),
            "peers": {tracing.OFF: statistics.median(found[tracing.OFF])},
            "ratios": {tracing.OFF: statistics.median(ratios)},
            "spread": [ratios[0], ratios[-1]],
        }
    ]


async def dead_ones(bootstrap: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """What a tenth of dead endpoints costs the others, and how memory grows from the first half to the end."""
    found = await endpoints.run(bootstrap, "endpoints.", folder, endpoints.COUNT, rounds * endpoints.ROUNDS)
    say(f"dead endpoints were tried {found.tries} times, none more than {found.most_tries}, all as planned")
    ours, theirs = found.with_dead.p99, found.without.p99
    ratios = sorted(o / t for o, t in zip(ours, theirs, strict=True))
    memory = [size / 2**20 for size in found.with_dead.memory]
    before = memory[len(memory) // 2]
    return [
        {
            "race": "endpoints, one in ten dead, p99",
            "unit": "ms",
            "herald": statistics.median(ours),
            "peers": {endpoints.WITHOUT: statistics.median(theirs)},
            "ratios": {endpoints.WITHOUT: statistics.median(ratios)},
            "spread": [ratios[0], ratios[-1]],
        },
        {
            "race": "endpoints, memory at the end",
            "unit": "MiB",
            "herald": memory[-1],
            "peers": {"itself halfway": before},
            "ratios": {"itself halfway": memory[-1] / before},
        },
    ]


async def races(bootstrap: str, folder: Path, rounds: int, only: str) -> list[dict[str, Any]]:
    """Everything that `only` names."""
    rows = await backlogs(bootstrap, folder, rounds, only)
    if only in "door":
        rows += await doors(bootstrap, folder, rounds)
    if only in "deliveries by webhook":
        rows += await couriers(bootstrap, folder, rounds)
    if only in "tracing, every event exported":
        rows += await traced(bootstrap, folder, rounds)
    if only in "endpoints":
        rows += await dead_ones(bootstrap, folder, rounds)
    if only in "announce to alert":
        more, samples = await latencies(bootstrap, folder, rounds)
        rows += more
        PICTURE.write_text(plot(samples))
        say(f"drawn: {PICTURE}")
    return rows


def main() -> None:
    """Runs the races and prints a table, or JSON."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", help="races whose name contains this")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        try:
            bootstrap = broker.start(say, owned=True).bootstrap_servers
            rows = asyncio.run(races(bootstrap, Path(folder), given.rounds, given.only))
        finally:
            broker.stop()
    if given.json:
        print(json.dumps({"cores": os.cpu_count(), "rounds": given.rounds, "races": rows}, indent=1))
        return
    print(f"{'race':36}{'Herald':>12}  ratio to its peer")
    for row in rows:
        peers = "; ".join(f"{ratio:.2f} of {who} ({row['peers'][who]:,.0f})" for who, ratio in row["ratios"].items())
        print(f"{row['race']:36}{row['herald']:>12,.0f}  {peers}")


if __name__ == "__main__":
    main()
