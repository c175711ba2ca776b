"""What tracing costs: the backlog of `announcements` with every event exported as a span, and without tracing."""

from pathlib import Path

from services.kernel.ledger import Output
from tests.bench import material
from tests.bench.throughput import PARTITIONS, RACES, fill, rate
from tests.broker.deployment import Deployment
from tests.broker.otlp import collector

RACE = RACES[0]
EACH = 2
"""Spans of a statement: what is recorded of it, and its receipt."""

TURNS = 3
"""A round: so small a difference shows in many pairs alone."""

OFF, ON = CONTESTANTS = ("tracing off", "tracing on")


async def run(bootstrap: str, prefix: str, folder: Path, turns: int) -> dict[str, list[float]]:
    """Events a second with tracing off and on. Who begins changes with each turn, so that a drift favours neither."""
    records = material.records(RACE.reads, RACE.count, RACE.agencies)
    found: dict[str, list[float]] = {who: [] for who in CONTESTANTS}
    for turn in range(turns):
        for who in CONTESTANTS if turn % 2 else reversed(CONTESTANTS):
            found[who].append(await _turn(bootstrap, f"{prefix}{turn}{who[8:]}.", folder, records, who == ON))
    return found


async def _turn(bootstrap: str, prefix: str, folder: Path, records: list[Output], traced: bool) -> float:
    with collector() as came:
        deployment = Deployment(bootstrap, prefix, folder, partitions=PARTITIONS, env=came.env if traced else {})
        await deployment.prepare(material.registry(RACE.agencies))
        await fill(deployment, RACE.reads, records)
        deployment.start(RACE.service)
        try:
            found = await rate(deployment, RACE)
        finally:
            deployment.stop()  # it gives away what waits
        spans = len(came.spans)
    if traced and spans != RACE.count * EACH:
        raise RuntimeError(f"{spans} spans came instead of {RACE.count * EACH}: what is dropped costs less")
    return found
