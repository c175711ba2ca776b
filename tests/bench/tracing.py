"""What tracing costs: the backlog of `announcements` with every event exported as a span, and without tracing."""

from dataclasses import replace
from pathlib import Path

from tests.bench import material
from tests.bench.bounds import HERALD, UNTRACED
from tests.bench.throughput import BACKLOG, Course
from tests.broker.otlp import collector

TRACED = "tracing on"
RACE = replace(BACKLOG, count=8_000, peers=())
EACH = 2
"""Spans of a statement: what is recorded of it, and its receipt."""

TURNS = 3
"""A round: so small a difference shows in many pairs alone."""


async def run(bootstrap: str, prefix: str, folder: Path, turns: int) -> dict[str, list[float]]:
    """Events a second with tracing on and off. Who begins changes with each turn, so that a drift favours neither."""
    with collector() as came:
        courses = {
            UNTRACED: Course(RACE, bootstrap, f"{prefix}off.", folder),
            TRACED: Course(RACE, bootstrap, f"{prefix}on.", folder, came.env),
        }
        found: dict[str, list[float]] = {who: [] for who in courses}
        for course in courses.values():
            await course.prepare()
        for turn in range(turns):
            records = material.records(RACE.reads, RACE.count, RACE.agencies, turn)
            for who in courses if turn % 2 else reversed(courses):
                await courses[who].fill(records)
                found[who].append((await courses[who].run(HERALD)).rate)
        spans = len(came.spans)
    if spans != turns * RACE.count * EACH:
        raise RuntimeError(f"{spans} spans came instead of {turns * RACE.count * EACH}: what is dropped costs less")
    return found
