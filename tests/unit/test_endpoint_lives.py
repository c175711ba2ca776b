"""Random lives of an endpoint: whatever happens, each delivery ends once, in order, and none is forgotten."""

from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.delivery import (
    DeliveryAbandoned,
    DeliveryRetried,
    DeliverySucceeded,
    Failure,
)
from services.deliveries.state import AT_ONCE, making
from tests.unit.endpoint_world import START, Life, registry, requested

FAILURES: tuple[Failure | None, ...] = (None, None, "server-error", "timeout", "throttled", "gone", "misconfigured")
KINDS = ("opened", "closed", "withdrawn")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 4), st.sampled_from(KINDS), st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 4)),
        st.tuples(st.just("answers"), st.sampled_from(FAILURES)),
        st.tuples(st.just("wait"), st.integers(0, 3_000_000)),
        st.tuples(st.just("pause"), st.integers(0, 100_000)),
        st.tuples(st.just("resume")),
        st.tuples(st.just("retry"), st.integers(0, 20)),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(steps, st.sampled_from([0.1, 40.0]))
def test_each_delivery_ends_once_and_nothing_old_is_told_after_something_newer(
    steps: list[tuple[object, ...]], took: float
) -> None:
    life = Life(registry(quiet_hours={"begins": "22:00", "ends": "07:00"}, time_zone="Europe/Berlin"), took)
    world, asked, latest = life.world, list[str](), dict[str, int]()
    seen = 0
    for step in steps:
        match step:
            case ("ask", int(release), str(kind), bool(routine)):
                life.sequences[release] += 1
                one = requested(release, life.sequences[release], world.now, kind, routine=routine and kind == "closed")
                asked.append(one.delivery_id)
                world.take(one)
            case ("retry", int(number)) if number < len(asked):
                world.take(DeliveryRetried(agency="cisa", endpoint="hook", delivery_id=asked[number]))
            case _:
                life.step(step)
        assert world.state is None or making(world.state.pending) <= AT_ONCE
        for _, letters in world.attempts[seen:]:
            for one in letters:
                assert one.alert.sequence >= latest.get(one.release_id, 0), "older news after newer"
                latest[one.release_id] = one.alert.sequence
        seen = len(world.attempts)
    life.end(START + timedelta(days=4000))
    ends = Counter(one.delivery_id for one in world.events(DeliverySucceeded, DeliveryAbandoned))
    assert ends == Counter(asked)
    assert world.state is None or not world.state.pending
