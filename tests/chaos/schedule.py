"""What goes wrong, and when: a pure function of the seed.

Faults come in bursts. In a burst one thing befalls Kafka or the network, and several befall services, endpoints and the
registry, and one or two what stands around them: doors, their database, watchdogs. Then all recovers, and it is quiet
for a while. Every kind comes round before one comes again.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.topics import SERVICES
from tests.chaos.cluster import NODES
from tests.chaos.hurt import WORKING

KAFKA = (
    "kill the leader",
    "kill the controller",
    "kill the coordinator",
    "freeze the leader",
    "freeze the controller",
    "freeze the coordinator",
    "restart each broker",
    "lose a disk",
    "fill a disk",
    "slow a disk",
    "a leader alone",
    "cut the network",
    "slow the network",
)
"""`a leader alone`: its followers do not reach it, clients do; then it dies with its disk."""

HERALD = (
    "kill a service",
    "freeze a service",
    "end a service",
    "die between two steps",
    "stand between two steps",
    "step a clock",
    "rebalance again and again",
    "change the registry",
    "webhooks are refused",
    "mail is refused",
)
AROUND = (
    "kill a door",
    "freeze a door",
    "end a door",
    "kill PostgreSQL",
    "restart PostgreSQL",
    "kill a watchdog",
    "freeze a watchdog",
)
"""Drawn from dice of their own, so that what a seed does to Kafka and the services stays what it was."""

KINDS = KAFKA + HERALD + AROUND
LONGEST_WAIT = 4.0
SLOW_SECONDS = 8.0
"""So long a network or a disk is slow, and a clock wrong."""

SOON_SECONDS = 3.0
"""Between the death of a broker and its return, and between the start of a storm's extra copy and its end."""

QUIET_SECONDS = (8.0, 12.0)
FROZEN_SECONDS = (3.0, 8.0, 13.0)
"""Shorter than, past a session's timeout (6), past a transaction's (10)."""

STOOD_SECONDS = 13.0
CUT_SECONDS = (5.0, 9.0, 15.0)
ALONE_SECONDS = 9.0
"""Past the time (3) after which followers that lag are out."""

STEPPED_SECONDS = (-2.0, -0.5, 0.5, 2.0)
REFUSED_SECONDS = (4.0, 10.0)
WITHOUT_DATABASE_SECONDS = (0.5, 3.0, 6.0)
NETWORK_DELAYS = (0.02, 0.1, 0.3)
DISK_DELAYS = (0.02, 0.2, 1.0)
"""Of each write: nobody falls behind; followers lag; nothing is written in time."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. `after`: so many seconds after its burst began; `seconds`: so long.

    `where` names a service, or a step (`commit:3`) too; `number` a node, or which of the copies or partitions.
    """

    after: float
    kind: str
    where: str = ""
    number: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        parts = [self.kind, self.where, f"no. {self.number}" if self.number else ""]
        return " ".join(part for part in [*parts, f"{self.seconds:g} s" if self.seconds else ""] if part)


@dataclass(frozen=True, slots=True)
class Burst:
    """Faults in the order of time, and how long it is quiet after the recovery."""

    faults: tuple[Fault, ...]
    quiet: float


def bursts(seed: int, kinds: tuple[str, ...] = KINDS) -> Iterator[Burst]:
    """Bursts without end."""
    dice, others = random.Random(seed), random.Random(f"{seed} around")
    around = _rounds(others, [kind for kind in AROUND if kind in kinds])
    kafka = _rounds(dice, [kind for kind in KAFKA if kind in kinds])
    herald = _rounds(dice, [kind for kind in HERALD if kind in kinds])
    while True:
        drawn = [next(kafka, None), *(next(herald, None) for _ in range(dice.randint(1, 4)))]
        faults = [_fault(dice, kind) for kind in drawn if kind is not None]
        beside = [next(around, None) for _ in range(others.randint(1, 2))]
        faults += [_fault(others, kind) for kind in beside if kind is not None]
        yield Burst(tuple(sorted(faults, key=lambda one: one.after)), round(dice.uniform(*QUIET_SECONDS), 1))


def _rounds(dice: random.Random, kinds: list[str]) -> Iterator[str]:
    while kinds:
        yield from dice.sample(kinds, len(kinds))


def _fault(dice: random.Random, kind: str) -> Fault:
    after, where, number = round(dice.uniform(0, LONGEST_WAIT), 1), "", dice.randint(1, 60)
    seconds = 0.0
    if kind in HERALD[:7]:
        where = dice.choice(SERVICES)
    if kind in {"die between two steps", "stand between two steps"}:
        where += f" {dice.choice(WORKING)}:{dice.randint(1, 12)}"
    if kind.endswith("a disk") or kind in {"cut the network", "slow the network"}:
        number = dice.choice(NODES)
    match kind:
        case "stand between two steps":
            seconds = STOOD_SECONDS
        case "a leader alone":
            seconds = ALONE_SECONDS
        case "cut the network":
            seconds = dice.choice(CUT_SECONDS)
        case "slow the network":
            seconds = dice.choice(NETWORK_DELAYS)
        case "slow a disk":
            seconds = dice.choice(DISK_DELAYS)
        case "step a clock":
            seconds = dice.choice(STEPPED_SECONDS)
        case "kill PostgreSQL" | "restart PostgreSQL":
            seconds = dice.choice(WITHOUT_DATABASE_SECONDS)
        case "webhooks are refused" | "mail is refused":
            seconds = dice.choice(REFUSED_SECONDS)
        case _ if kind.startswith("freeze"):
            seconds = dice.choice(FROZEN_SECONDS)
    return Fault(after, kind, where, number, seconds)
