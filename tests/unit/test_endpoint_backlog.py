"""What waits at an endpoint stays within the one record that holds it, whatever it is asked to deliver."""

from collections import Counter
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import AlertWindow, Content
from schemas.delivery import (
    DeliveryAbandoned,
    DeliveryRequested,
    DeliverySucceeded,
    EndpointPaused,
    EndpointResumed,
    Failure,
    NoticeRequested,
    NoticeSettled,
)
from schemas.envelope import derived_id, encode
from schemas.release import Access, Model
from schemas.topics import INTERNAL_BYTES, STATE_BYTES
from services.deliveries.letter import Attempt
from services.deliveries.state import BACKLOG_BYTES, DIGEST_BYTES, EndpointState, Pending
from tests.unit.endpoint_world import RELEASES, START, TAKEN, Answers, Life, World, registry, requested

HOUR = timedelta(hours=1)
AROUND = 4096
"""What the kernel allows for around a record."""

WIDE = "\N{HERB}"
"""Four bytes."""

TEXT = WIDE * 4000
CONTENT = Content(
    lab="aurora-labs",
    reference="halo-4",
    model=Model(name=WIDE * 200, summary=TEXT),
    trusted_partner_release_at=START,
    access=Access(how=TEXT),
    handling=TEXT,
    window=AlertWindow(status="open"),
)
"""As much as a lab can say."""

HUGE = WIDE * ((INTERNAL_BYTES - AROUND - 2048) // 4)
"""What fills the largest request that its topic takes."""

SIZES: dict[str, dict[str, Any]] = {"thin": {}, "full": {"content": CONTENT}, "huge": {"changed": (HUGE,)}}


def asked(release: int, sequence: int, size: str = "full", *, endpoint: str = "hook") -> DeliveryRequested:
    """An alert of a size."""
    one = requested(release, sequence, START, endpoint=endpoint)
    return one.model_copy(update={"alert": one.alert.model_copy(update=SIZES[size])})


def notice(number: int, kind: str) -> NoticeRequested:
    """A notice."""
    about = {"agency": "cisa", "endpoint": "hook", "about": "desk", "requested_at": START, "notice": kind}
    return NoticeRequested.model_validate({"notice_id": derived_id("notice", str(number)), **about})


def record(state: EndpointState | None) -> bytes:
    """The state as the kernel writes it."""
    return state.model_dump_json(exclude_none=True).encode() if state is not None else b""


def fails(failure: Failure) -> Answers:
    """An other side that takes nothing."""
    return lambda at, effect: Attempt(0.1, failure)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 40), st.integers(1, 40), st.sampled_from(["thin", "full", "full"])),
        st.tuples(st.just("ask"), st.integers(0, 40), st.integers(1, 5), st.just("huge")),
        st.tuples(st.just("notices"), st.integers(1, 20), st.sampled_from(["test", "disabled"])),
        st.tuples(st.just("cancel"), st.integers(0, 40)),
        st.tuples(st.just("answers"), st.sampled_from([None, "server-error", "throttled", "gone"])),
        st.tuples(st.just("wait"), st.integers(0, 100_000)),
        st.tuples(st.just("pause"), st.integers(0, 100_000)),
        st.tuples(st.just("resume")),
    ),
    max_size=15,
)


@settings(max_examples=60)
@given(steps, st.sampled_from([0.1, 40.0]))
def test_the_record_of_an_endpoint_never_outgrows_its_topic_and_each_delivery_ends_once(
    steps: list[tuple[object, ...]], took: float
) -> None:
    life = Life(registry(hook={"per_minute": 6000}), took, failure="unreachable")
    world, due, numbers = life.world, list[str](), count()
    for step in steps:
        match step:
            case ("ask", int(first), int(many), str(size)):
                for release in range(first, first + many):
                    life.sequences[release] += 1
                    one = asked(release, life.sequences[release], size)
                    due.append(one.delivery_id)
                    world.take(one)
            case ("notices", int(many), str(kind)):
                for number in [next(numbers) for _ in range(many)]:
                    world.take(notice(number, kind))
            case _:
                life.step(step)
        assert len(record(world.state)) + AROUND <= STATE_BYTES
    life.end(world.now + timedelta(days=40))
    assert Counter(one.delivery_id for one in world.events(DeliverySucceeded, DeliveryAbandoned)) == Counter(due)
    assert len(world.events(NoticeSettled)) == next(numbers)
    assert world.state is None or not world.state.pending


def test_what_does_not_fit_beside_what_waits_is_ended_at_once_and_a_test_still_goes_out() -> None:
    world = World(fails("unreachable"))
    for release in range(60):
        world.take(asked(release, 1))
    assert world.state is not None
    waiting = len(world.state.pending)
    assert BACKLOG_BYTES * 0.9 < len(record(world.state)) <= BACKLOG_BYTES
    ended = world.events(DeliveryAbandoned)
    assert {(one.reason, one.failure, one.attempts) for one in ended} == {("backlog-full", None, 0)}
    assert waiting + len(ended) == 60
    world.take(notice(1, "test")).until(START + timedelta(seconds=1))
    assert [one.failure for one in world.events(NoticeSettled)] == ["unreachable"]
    world.answers = lambda at, effect: TAKEN
    world.take(EndpointResumed(agency="cisa", endpoint="hook")).until(START + HOUR)
    assert len(world.events(DeliverySucceeded)) == waiting
    assert not world.state.pending
    world.take(asked(61, 1)).until(START + 2 * HOUR)
    assert len(world.events(DeliverySucceeded)) == waiting + 1


def test_what_is_newer_than_something_pending_is_kept_where_other_news_finds_no_room() -> None:
    world = World(took=HOUR)
    for release in range(60):
        world.take(asked(release, 1))
    assert world.state is not None
    tried = [about[0].alert.release_id for _, about in world.attempts]
    for release in map(RELEASES.index, tried):
        world.take(asked(release, 2))
    assert {one.reason for one in world.events(DeliveryAbandoned)} == {"backlog-full"}
    world.until(START + timedelta(days=1))
    told = [one.release_id for one in world.events(DeliverySucceeded) if one.sequence == 2]
    assert sorted(told) == sorted(tried)


def test_whatever_can_be_asked_for_fits_where_nothing_else_waits() -> None:
    one = asked(0, 1, "huge")
    written = encode(one.stamped(cause="a test", ordinal=0, source="/services/notifier", time=START))
    assert INTERNAL_BYTES - 2048 < len(written) + AROUND <= INTERNAL_BYTES
    assert World().take(one).until(START + HOUR).events(DeliverySucceeded)


@pytest.mark.parametrize("about", ["alert", "notice"])
def test_nothing_that_waits_weighs_more_than_it_was_counted_for(about: str) -> None:
    late = START.replace(microsecond=123456)
    what = {"alert": requested(0, 1, late).alert} if about == "alert" else {"notice": notice(0, "disabled")}
    bare = Pending.model_validate({**what, "requested_at": late, "next_at": late})
    full = {"attempts": 10**9, "held": False, "together": RELEASES[0], "attempt": RELEASES[0], "ending": "acknowledged"}
    pending = {RELEASES[0]: bare.model_copy(update=full)}
    empty = EndpointState(agency="cisa", endpoint="hook")
    assert len(record(empty.model_copy(update={"pending": pending}))) - len(record(empty)) <= bare.weight


def test_what_waited_goes_together_only_as_far_as_a_server_may_be_asked_to_take_at_once() -> None:
    world = World().take(EndpointPaused(agency="cisa", endpoint="hook", until=START + HOUR))
    for release in range(20):
        world.take(asked(release, 1))
    world.until(START + 2 * HOUR)
    sizes = [sum(one.weight for one in about) for _, about in world.attempts]
    assert sum(len(about) for _, about in world.attempts) == len(world.events(DeliverySucceeded)) == 20
    assert 1 < len(sizes) < 20
    assert max(sizes) <= DIGEST_BYTES
