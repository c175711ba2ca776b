"""The path of a release leads from what was said to what came of it, over random lives."""

import json

from services.audit.evidence import Kept
from services.audit.gather import Edges
from services.audit.path import Hop, path
from services.kernel.clock import EPOCH
from tests.simulation.audited import MILLISECOND
from tests.simulation.lives import Life
from tests.simulation.world import World

LED_BY: dict[str, set[str | None]] = {
    "said": {None, "alert"},
    "taken": {"said"},
    "recorded": {"taken"},
    "window": {None, "recorded"},
    "registry": {None},
    "alert": {"window", "registry", "reminder"},
    "reminder": {"alert"},
    "asked": {"alert"},
    "outcome": {"asked"},
    "answered": {"taken"},
    "overdue": {"alert"},
    "receipt": {"taken"},
}
"""What each hop may follow from; None: nothing on the path, or a timer."""

OWN: tuple[str, ...] = (
    "releases",
    "announcements",
    "windows",
    "alerts",
    "acks",
    "acknowledgements",
    "reminders",
    "deliveries",
)


def walked(world: World) -> tuple[list[Hop], int]:
    """The hops of a world's one release, and how many records of its own there are but for copies."""
    kept: list[Kept] = []
    edges: Edges = {}
    for name, log in world.logs.items():
        for offset, one in enumerate(log):
            where = ((one.at - EPOCH) // MILLISECOND, name, 0, offset)
            if name in {*OWN, "delivery-outcomes", "registry-versions"} or name.startswith("receipts."):
                kept.append(Kept(*where, one.key.decode(), (one.value or b"").decode()))
            elif name.startswith(("releases.", "acks.")):
                edges.setdefault((name, json.loads(one.value or b"")["id"]), Kept(*where, "", ""))
    events = [json.loads(one.value) for one in kept if one.topic != "registry-versions"]
    silent = ("herald.disclosure.made.v1", "herald.delivery.cancelled.v1")
    release_id = json.loads(kept_of(kept, "releases").value)["subject"]
    return path(kept, edges, release_id), sum(event["type"] not in silent for event in events)


def kept_of(kept: list[Kept], topic: str) -> Kept:
    """The first record of a topic."""
    return next(one for one in kept if one.topic == topic)


def test_every_hop_follows_from_one_that_led_to_it() -> None:
    for seed in range(40):
        life = Life(seed)
        life.play()
        hops, count = walked(life.world)
        assert len([hop for hop in hops if hop.name not in {"said", "registry"}]) == count, f"seed {seed}"
        for hop in hops:
            by = hop.cause.name if hop.cause is not None else None
            assert by in LED_BY[hop.name], f"seed {seed}: {hop.name} {hop.about} follows from {by}"
            assert hop.after_ms is None or hop.after_ms >= 0


def test_a_release_is_followed_from_the_lab_to_the_agencys_answer() -> None:
    world = World().announce().answer("cyber", "participating")
    hops, _ = walked(world)
    answered = next(hop for hop in hops if hop.name == "answered")
    names = []
    step: Hop | None = answered
    while step is not None:
        names.append(step.name)
        step = step.cause
    assert names == ["answered", "taken", "said", "alert", "window", "recorded", "taken", "said"]
    assert [hop.depth for hop in hops if hop.name in {"window", "alert"}] == [3, 4, 4]
