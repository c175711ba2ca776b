"""Races that `make bench` leaves out for their length: what happens at scale, and in an hour."""

import statistics

from tests.bench import crowds, soaking
from tests.bench.bounds import FEWEST, MEAN
from tests.bench.growing import Growing, Turn
from tests.bench.pictures import draw_growth
from tests.bench.races import Bench, Race
from tests.bench.table import Beside, Row, side_by_side

COUNTS = (1_000, 10_000, 100_000)
TIMERS, WITHIN_SECONDS = 10_000, 60
AGENCIES, LABS = 1_000, 500


async def growth(bench: Bench) -> list[Row]:
    """Live windows: what an event costs among more of them, how long they take to restore, what one occupies."""
    found: dict[int, list[Turn]] = {count: [] for count in COUNTS}
    contestants = {count: Growing(count, bench.bootstrap, f"live.{count}.", bench.folder) for count in COUNTS}
    for contestant in contestants.values():
        await contestant.prepare()
    for _ in range(bench.rounds):
        for count, contestant in contestants.items():
            turn = await contestant.run()
            found[count].append(turn)
            bench.say(f"{count:,} live windows: restored in {turn.restore:.1f} s, {turn.cpu:.3f} ms of a core an event")
    cpu = {count: [turn.cpu for turn in turns] for count, turns in found.items()}
    times = [(float(count), statistics.median(cpu[count]) / statistics.median(cpu[COUNTS[0]])) for count in COUNTS]
    bench.say(f"drawn: {draw_growth({'a core’s time for an event': times}, list(COUNTS))}")
    rows = []
    for count in COUNTS:
        name, fewest = f"{count:,} live windows", COUNTS[0]
        peers = {FEWEST: cpu[fewest]} if count > fewest else {}
        rows.append(side_by_side(f"{name}, CPU an event", "ms", cpu[count], peers))
        seconds = statistics.median(turn.restore for turn in found[count])
        rows.append(Row(f"{name}, restore", "s", seconds, {}))
        rows.append(Row(f"{name}, restored a second", "windows/s", count / seconds, {}))
        if count > fewest:
            memory = [statistics.median(turn.memory for turn in found[which]) for which in (fewest, count)]
            rows.append(Row(f"{name}, memory a window", "KiB", (memory[1] - memory[0]) / 1024 / (count - fewest), {}))
    return rows


async def timers(bench: Bench) -> list[Row]:
    """How late timers fire that come due close together."""
    found = await crowds.timers(TIMERS, WITHIN_SECONDS, bench.bootstrap, "timers.", bench.folder)
    name = f"{TIMERS:,} timers due in one minute"
    late = statistics.quantiles(found, n=100)
    figures = (("p50 late", late[49]), ("p99 late", late[98]), ("latest", found[-1]))
    return [Row(f"{name}, {what}", "ms", value, {}) for what, value in figures]


async def agencies(bench: Bench) -> list[Row]:
    """How long it takes until the last of many agencies has been told of one window."""
    found = await crowds.agencies(AGENCIES, bench.rounds, bench.bootstrap, "agencies.", bench.folder)
    name = f"{AGENCIES:,} agencies told of one window"
    return [
        Row(f"{name}, until the first", "s", statistics.median(first for first, _ in found), {}),
        Row(f"{name}, first to last", "s", statistics.median(last for _, last in found), {}),
    ]


async def labs(bench: Bench) -> list[Row]:
    """Many labs at once."""
    ready, last = await crowds.labs(LABS, bench.bootstrap, "labs.", bench.folder)
    name, said = f"{LABS:,} labs", LABS * crowds.EACH
    return [
        Row(f"{name}, every service ready", "s", ready, {}),
        Row(f"{name} announce at once, {crowds.EACH} each, until the last alert", "s", last, {}),
        Row(f"{name} announce at once, all four hops", "events/s", said / last, {}),
    ]


async def soak(bench: Bench) -> list[Row]:
    """What grows in an hour under a steady load; the ratio is that of the growth to the mean."""
    found = await soaking.run(bench.minutes, bench.say, bench.bootstrap, "soak.", bench.folder)
    rows = [
        Row("soak, time", "min", bench.minutes, {}),
        Row("soak, all that goes", "events/s", found.capacity, {}),
        Row("soak, load", "events/s", found.rate, {}),
        Row("soak, live and forgotten in turn", "releases", found.releases, {}),
    ]
    for (service, what), (slope, mean) in found.slopes().items():
        rows.append(Row(f"soak, {service}, {what}", "more an hour", slope, {MEAN: Beside(mean, slope / mean)}))
    return rows


LONG: dict[str, Race] = {
    "scale: live windows": growth,
    "scale: timers": timers,
    "scale: agencies": agencies,
    "scale: labs": labs,
    "soak": soak,
}
