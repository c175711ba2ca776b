"""The races of `make bench`: contestants take turns, and each turn gives a ratio."""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from tests.bench import delivering, door, endpoints, latency, material, restoring, throughput, tracing
from tests.bench.bounds import BARE_COURIER, BARE_DOOR, GETMANY, HALFWAY, HERALD, RAW, UNTRACED, WITHOUT
from tests.bench.pictures import draw_fan_outs, draw_latencies
from tests.bench.streams import Unavailable, compiled
from tests.bench.table import Beside, Row, side_by_side

RATES = {20: 10, 100: 8}
"""Statements a second → seconds that are measured."""


@dataclass(frozen=True, slots=True)
class Bench:
    bootstrap: str
    folder: Path
    rounds: int
    say: Callable[[str], None]
    minutes: float = 60


async def _turns(race: throughput.Race, bench: Bench) -> dict[str, list[throughput.Turn]]:
    """One hop: Herald's service and its peers on the same records, in turn."""
    course = throughput.Course(race, bench.bootstrap, f"{race.reads}.{race.agencies}.", bench.folder)
    await course.prepare()
    found: dict[str, list[throughput.Turn]] = {who: [] for who in (*race.peers, HERALD)}
    for turn in range(bench.rounds):
        await course.fill(material.records(race.reads, race.count, race.agencies, turn))
        for who, turns in found.items():
            turns.append(await course.run(who))
            bench.say(f"{race.name}, {who}: {turns[-1].rate:,.0f} a second")
    return found


def _rates(race: throughput.Race, unit: str, found: dict[str, list[throughput.Turn]]) -> Row:
    rates = {who: [turn.rate for turn in turns] for who, turns in found.items()}
    return side_by_side(race.name, unit, rates.pop(HERALD), rates)


async def backlog(bench: Bench) -> list[Row]:
    """Events a second of one hop, and what the process of the service costs beside the bare loop."""
    race = throughput.BACKLOG
    found = await _turns(race, bench)
    ours, theirs = found[HERALD], found[RAW]
    return [_rates(race, "events/s", found)] + [
        side_by_side(f"{race.service}, {what}", unit, [of(turn) for turn in ours], {RAW: [of(turn) for turn in theirs]})
        for what, unit, of in (
            ("CPU an event", "ms", attrgetter("cpu")),
            ("memory", "MiB", attrgetter("memory")),
            ("start to ready", "s", attrgetter("start")),
        )
    ]


async def fan_outs(bench: Bench) -> list[Row]:
    """One change to more and more agencies; it is drawn how the rate grows."""
    rows = []
    for race in throughput.FAN_OUTS:
        found = await _turns(race, bench)
        rows.append(_rates(race, "changes/s", found))
    bench.say(f"drawn: {draw_fan_outs(rows, [race.agencies for race in throughput.FAN_OUTS])}")
    return rows


async def restores(bench: Bench) -> list[Row]:
    """Reading state back, beside reading alone."""
    ours, theirs = await restoring.run(bench.bootstrap, "restore.", bench.folder, bench.rounds * restoring.TURNS)
    return [side_by_side("restore of state", "records/s", ours, {GETMANY: theirs})]


async def latencies(bench: Bench) -> list[Row]:
    """Milliseconds from announce to alert, at each rate; the samples are drawn."""
    try:
        classpath = compiled()
    except Unavailable as error:
        bench.say(f"Kafka Streams does not run here: {error}")
        classpath = ""
    contestants = [who for who, peer in latency.CONTESTANTS.items() if peer is None or classpath]
    turns: dict[tuple[str, int], list[list[float]]] = {(who, rate): [] for who in contestants for rate in RATES}
    for turn in range(bench.rounds):
        first = turn % len(contestants)
        for who in contestants[first:] + contestants[:first]:
            prefix = f"four{contestants.index(who)}{turn}."
            found = await latency.run(who, bench.bootstrap, prefix, bench.folder, classpath, RATES)
            for rate, milliseconds in found.items():
                turns[who, rate].append(milliseconds)
                bench.say(f"announce to alert at {rate}/s, {who}: p50 {_share(milliseconds, 50):.0f} ms")
    samples = {at: [ms for turn in found for ms in turn] for at, found in turns.items()}
    drawn = draw_latencies({f"{who}, {rate}/s": sorted(found) for (who, rate), found in samples.items()})
    bench.say(f"drawn: {drawn}")
    return [
        _latency(f"announce to alert at {rate}/s, p{share}", share, rate, contestants[1:], turns)
        for rate in RATES
        for share in (50, 99)
    ]


def _latency(
    name: str, share: int, rate: int, peers: list[str], turns: dict[tuple[str, int], list[list[float]]]
) -> Row:
    """A quantile of all turns' events together: one turn has too few for a p99. The spread is of the turns."""
    ours = _share([ms for turn in turns[HERALD, rate] for ms in turn], share)
    beside = {}
    for who in peers:
        pairs = zip(turns[HERALD, rate], turns[who, rate], strict=True)
        spread = sorted(_share(o, share) / _share(t, share) for o, t in pairs)
        theirs = _share([ms for turn in turns[who, rate] for ms in turn], share)
        beside[who] = Beside(theirs, ours / theirs, (spread[0], spread[-1]))
    return Row(name, "ms", ours, beside)


def _share(milliseconds: list[float], share: int) -> float:
    return statistics.quantiles(milliseconds, n=100)[share - 1]


async def doors(bench: Bench) -> list[Row]:
    """Requests a second and p99 of the HTTP door and of the bare endpoint."""
    found = await door.run(bench.bootstrap, "door.", bench.folder, bench.rounds * door.TURNS)
    return [
        side_by_side(name, unit, [one[n] for one in found[HERALD]], {BARE_DOOR: [one[n] for one in found[BARE_DOOR]]})
        for n, (name, unit) in enumerate((("door, POST /v1/releases", "requests/s"), ("door, p99", "ms")))
    ]


async def couriers(bench: Bench) -> list[Row]:
    """Webhooks a second of one delivery worker and of a bare loop."""
    found = await delivering.run(bench.bootstrap, "courier.", bench.folder, bench.rounds * delivering.TURNS)
    ours = found[HERALD]
    return [side_by_side("deliveries by webhook", "deliveries/s", ours, {BARE_COURIER: found[BARE_COURIER]})]


async def dead_ones(bench: Bench) -> list[Row]:
    """What a tenth of dead endpoints costs the others, and how memory grows from the first half to the end."""
    rounds = bench.rounds * endpoints.ROUNDS
    found = await endpoints.run(bench.bootstrap, "endpoints.", bench.folder, endpoints.COUNT, rounds)
    bench.say(f"dead endpoints were tried {found.tries} times, none more than {found.most_tries}, all as planned")
    memory = [size / 2**20 for size in found.with_dead.memory]
    before = memory[len(memory) // 2]
    return [
        side_by_side("endpoints, one in ten dead, p99", "ms", found.with_dead.p99, {WITHOUT: found.without.p99}),
        Row("endpoints, memory at the end", "MiB", memory[-1], {HALFWAY: Beside(before, memory[-1] / before)}),
    ]


async def traced(bench: Bench) -> list[Row]:
    """Events a second with every event exported as a span, and with tracing off."""
    found = await tracing.run(bench.bootstrap, "tracing.", bench.folder, bench.rounds * tracing.TURNS)
    ours = found[tracing.TRACED]
    return [side_by_side("tracing, every event exported", "events/s", ours, {UNTRACED: found[UNTRACED]})]


Race = Callable[[Bench], Awaitable[list[Row]]]

RACES: dict[str, Race] = {
    "announce to alert": latencies,
    throughput.BACKLOG.name: backlog,
    "fan-out to 8, 100 and 1,000 agencies": fan_outs,
    "restore of state": restores,
    "door": doors,
    "deliveries by webhook": couriers,
    "endpoints": dead_ones,
    "tracing": traced,
}
