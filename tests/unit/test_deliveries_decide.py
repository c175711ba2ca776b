"""An endpoint in virtual time: what it is told, when, how often, and when no more."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from schemas.command import Effect
from schemas.delivery import (
    DeliveryAbandoned,
    DeliveryCancelled,
    DeliveryFailed,
    DeliveryRetried,
    DeliverySucceeded,
    EndpointDisabled,
    EndpointFailing,
    EndpointPaused,
    EndpointRecovered,
    EndpointResumed,
    Failure,
    NoticeRequested,
    NoticeSettled,
)
from services.deliveries.letter import Attempt
from services.deliveries.schedule import RETRIES
from services.deliveries.state import AT_ONCE
from tests.unit.endpoint_world import RELEASES, START, TAKEN, Answers, World, registry, requested

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def fails(
    failure: Failure = "server-error", until: datetime | None = None, retry_after: float | None = None
) -> Answers:
    def answer(at: datetime, effect: Effect) -> Attempt:
        return Attempt(0.1, failure, "no", retry_after) if until is None or at < until else TAKEN

    return answer


def test_an_alert_is_told_at_once_and_once() -> None:
    world = World().take(requested(0, 1, START)).until(START + DAY)
    (told,) = world.events(DeliverySucceeded)
    assert (told.attempts, told.channel) == (1, "webhook")
    assert [at for at, _ in world.attempts] == [START]
    assert world.state is not None
    assert not world.state.pending


def test_what_fails_is_tried_again_as_standard_webhooks_advises_and_a_little_later() -> None:
    world = World(fails(until=START + timedelta(hours=70))).take(requested(0, 1, START)).until(START + 10 * DAY)
    tried = [at for at, _ in world.attempts]
    waits = [after - before for before, after in pairwise(tried)]
    breaker = HOUR / 2 + MINUTE
    for wait, planned in zip(waits, RETRIES, strict=False):
        assert planned <= wait <= planned * 1.2 + breaker
    assert len(world.events(DeliverySucceeded)) == 1


def test_the_latest_alert_is_not_given_up_for_being_late_but_the_end_of_the_schedule_is_told() -> None:
    world = World(fails("throttled")).take(requested(0, 1, START)).until(START + 8 * DAY)
    assert [one.exhausted for one in world.events(DeliveryFailed)][:9] == [False] * 9
    assert world.events(DeliveryFailed)[9].exhausted
    assert not world.events(DeliveryAbandoned)
    assert world.state is not None
    assert world.state.pending


@pytest.mark.parametrize("asked", [7200, 10_000_000])
def test_retry_after_is_kept_with_a_cap(asked: float) -> None:
    world = World(fails("throttled", START + MINUTE, asked)).take(requested(0, 1, START)).until(START + 3 * DAY)
    (first, _), (second, _) = world.attempts
    assert second - first - timedelta(seconds=0.1) == min(timedelta(seconds=asked), DAY)


@pytest.mark.parametrize("failure", ["gone", "refused", "tls", "redirected", "forbidden-address"])
def test_a_permanent_answer_is_abandoned_at_once(failure: Failure) -> None:
    world = World(fails(failure)).take(requested(0, 1, START)).until(START + DAY)
    (given_up,) = world.events(DeliveryAbandoned)
    assert (given_up.reason, given_up.failure, len(world.attempts)) == ("refused", failure, 1)


def test_a_newer_alert_of_the_release_replaces_what_is_pending() -> None:
    world = World(fails(until=START + HOUR)).take(requested(0, 1, START)).until(START + 10 * MINUTE)
    world.take(requested(0, 2, world.now, "withdrawn")).until(START + DAY)
    (old,) = world.events(DeliveryAbandoned)
    (new,) = world.events(DeliverySucceeded)
    assert (old.sequence, old.reason, new.sequence) == (1, "superseded", 2)


def test_a_newer_alert_waits_for_the_attempt_that_is_being_made_and_nothing_old_comes_after_it() -> None:
    world = World(took=MINUTE).take(requested(0, 1, START))
    world.take(requested(0, 2, START, "withdrawn")).until(START + DAY)
    assert [one.sequence for one in world.events(DeliverySucceeded)] == [1, 2]
    assert [at for at, _ in world.attempts] == [START, START + MINUTE]


def test_an_alert_that_comes_after_a_newer_one_is_not_told() -> None:
    world = World(fails()).take(requested(0, 2, START, "withdrawn")).take(requested(0, 1, START))
    (old,) = world.events(DeliveryAbandoned)
    assert (old.sequence, old.reason) == (1, "superseded")


def test_an_acknowledgement_ends_what_is_pending_also_what_is_being_tried() -> None:
    stop = DeliveryCancelled(agency="cisa", endpoint="hook", release_id=RELEASES[0], sequence=1, reason="acknowledged")
    waiting = World(fails()).take(requested(0, 1, START)).until(START + MINUTE).take(stop).until(START + DAY)
    trying = World(fails(), took=MINUTE).take(requested(0, 1, START)).take(stop).until(START + DAY)
    for world in (waiting, trying):
        (given_up,) = world.events(DeliveryAbandoned)
        assert given_up.reason == "acknowledged"
        assert world.state is not None
        assert not world.state.pending
    assert len(trying.attempts) == 1


def test_after_repeated_failures_an_endpoint_is_probed_one_by_one_and_all_goes_on_when_it_is_back() -> None:
    world = World(fails(until=START + HOUR))
    for release in range(50):
        world.take(requested(release, 1, START))
    world.until(START + HOUR)
    (failing,) = world.events(EndpointFailing)
    assert failing.at < START + MINUTE
    assert len([at for at, _ in world.attempts if at > failing.at + timedelta(seconds=1)]) < 15
    world.until(START + 3 * HOUR)
    (recovered,) = world.events(EndpointRecovered)
    assert recovered.since == START + timedelta(seconds=0.1)
    assert len(world.events(DeliverySucceeded)) == 50
    assert not world.events(EndpointDisabled)


def test_a_thousand_due_at_once_go_as_the_throttle_lets_them() -> None:
    world = World(registry=registry(hook={"per_minute": 60}))
    for release in range(1000):
        world.take(requested(release, 1, START))
    world.until(START + HOUR)
    assert len(world.events(DeliverySucceeded)) == 1000
    for first in range(0, 17):
        begun = [at for at, _ in world.attempts if START + first * MINUTE <= at < START + (first + 1) * MINUTE]
        assert len(begun) <= 60 + 10


def test_after_an_outage_a_thousand_keep_to_what_the_endpoint_asks_for_and_are_not_tried_again_all_at_once() -> None:
    world = World(fails("throttled", START + HOUR, 600), registry=registry(hook={"per_minute": 6000}))
    for release in range(1000):
        world.take(requested(release, 1, START))
    world.until(START + HOUR)
    tried = [at for at, _ in world.attempts]
    bursts = [at for before, at in pairwise(tried) if at - before > MINUTE]
    assert len(bursts) == 5
    assert all(after - before >= timedelta(seconds=600) for before, after in pairwise([START, *bursts]))
    assert len(tried) <= 6 * AT_ONCE
    world.until(START + 3 * HOUR)
    assert len(world.events(DeliverySucceeded)) == 1000


def test_what_fails_at_once_is_not_tried_again_at_once() -> None:
    world = World(fails("server-error", START + MINUTE), registry=registry(hook={"per_minute": 6000}))
    for release in range(4):
        world.take(requested(release, 1, START))
    world.until(START + DAY)
    waits = {one.retry_at - one.at for one in world.events(DeliveryFailed)}
    assert len(waits) >= 4


def test_newer_news_is_tried_within_the_hour_whatever_an_endpoint_asked_of_another_message() -> None:
    world = World(fails("throttled", START + MINUTE, 80_000)).take(requested(0, 1, START)).until(START + MINUTE)
    world.take(requested(1, 1, world.now, "withdrawn")).until(START + 2 * HOUR)
    (told,) = world.events(DeliverySucceeded)
    assert (told.kind, world.attempts[-1][0]) == ("withdrawn", START + HOUR + timedelta(seconds=0.1))


def test_after_five_days_an_endpoint_is_disabled_and_the_agencys_other_channels_are_told() -> None:
    world = World(fails("unreachable")).take(requested(0, 1, START)).until(START + 7 * DAY)
    (disabled,) = world.events(EndpointDisabled)
    assert disabled.at - disabled.since >= 5 * DAY
    (notice,) = world.events(NoticeRequested)
    assert (notice.endpoint, notice.about) == ("desk", "hook")
    assert world.events(DeliveryAbandoned)[-1].reason == "disabled"
    world.take(requested(1, 1, world.now)).until(START + 9 * DAY)
    assert world.events(DeliveryAbandoned)[-1].reason == "disabled"
    tried = len(world.attempts)
    world.answers = lambda at, effect: TAKEN
    world.take(EndpointResumed(agency="cisa", endpoint="hook")).take(requested(2, 1, world.now)).until(START + 9 * DAY)
    world.until(START + 10 * DAY)
    assert len(world.attempts) == tried + 1


def test_what_is_routine_waits_for_the_morning_and_comes_as_one_digest() -> None:
    quiet = registry(time_zone="America/New_York", quiet_hours={"begins": "22:00", "ends": "07:00"})
    night = datetime(2027, 3, 13, 4, tzinfo=UTC)  # 23:00 in New York; there the clocks go forward on the 14th
    world = World(registry=quiet, now=night)
    for release in range(3):
        world.take(requested(release, 1, night, "closed", routine=True))
    world.take(requested(3, 1, night, "opened"))
    world.take(requested(1, 2, night, "withdrawn"))
    world.until(night + DAY)
    assert [(at, len(about)) for at, about in world.attempts] == [
        (night, 1),
        (night, 1),
        (datetime(2027, 3, 13, 12, tzinfo=UTC), 2),
    ]
    later = datetime(2027, 3, 14, 5, tzinfo=UTC)
    world.until(later).take(requested(4, 1, later, "closed", routine=True)).until(later + DAY)
    assert world.attempts[-1][0] == datetime(2027, 3, 14, 11, tzinfo=UTC)


def test_nothing_is_held_beyond_the_event_that_it_speaks_of() -> None:
    quiet = registry(quiet_hours={"begins": "22:00", "ends": "07:00"})
    night = datetime(2027, 3, 13, 23, tzinfo=UTC)
    world = World(registry=quiet, now=night)
    world.take(requested(0, 1, night, "closing-soon", routine=True, speaks_of=night + HOUR))
    assert [at for at, _ in world.until(night + DAY).attempts] == [night + HOUR]


def test_what_is_routine_does_not_wait_where_it_replaces_what_could_not() -> None:
    quiet = registry(quiet_hours={"begins": "22:00", "ends": "07:00"})
    night = datetime(2027, 3, 13, 23, tzinfo=UTC)
    world = World(fails(until=night + 10 * MINUTE), quiet, night).take(requested(0, 1, night, "opened"))
    world.until(night + 7 * MINUTE).take(requested(0, 2, world.now, "closed", routine=True)).until(night + HOUR)
    assert [one.sequence for one in world.events(DeliverySucceeded)] == [2]


def test_a_pause_holds_everything_until_its_end_and_resuming_ends_it() -> None:
    for resume in (False, True):
        world = World().take(EndpointPaused(agency="cisa", endpoint="hook", until=START + DAY))
        world.take(requested(0, 1, START)).take(requested(1, 1, START)).until(START + HOUR)
        assert not world.attempts
        if resume:
            world.take(EndpointResumed(agency="cisa", endpoint="hook"))
        world.until(START + 2 * DAY)
        ((at, about),) = world.attempts
        assert (at, len(about)) == (START + (HOUR if resume else DAY), 2)
        assert len(world.events(DeliverySucceeded)) == 2


def test_an_operator_can_have_a_pending_delivery_tried_now() -> None:
    first = requested(0, 1, START)
    world = World(fails(until=START + 2 * HOUR)).take(first).until(START + 2 * HOUR)
    tried = len(world.attempts)
    world.take(DeliveryRetried(agency="cisa", endpoint="hook", delivery_id=first.delivery_id))
    assert world.attempts[tried:] == [(world.now, world.attempts[tried][1])]


def test_a_test_is_tried_once_and_told_whatever_came_of_it() -> None:
    test = NoticeRequested(
        agency="cisa", endpoint="hook", notice_id=RELEASES[5], notice="test", about="hook", requested_at=START
    )
    cases = ((fails("tls"), "tls"), (fails("server-error"), "server-error"), (fails(until=START), None))
    for answers, failure in cases:
        world = World(answers).take(test).until(START + DAY)
        (settled,) = world.events(NoticeSettled)
        assert (settled.failure, len(world.attempts)) == (failure, 1)


def test_the_word_that_another_channel_is_disabled_is_said_again_until_it_is_taken() -> None:
    notice = NoticeRequested(
        agency="cisa", endpoint="desk", notice_id=RELEASES[6], notice="disabled", about="hook", requested_at=START
    )
    world = World(fails("unreachable", START + HOUR)).take(notice).until(START + DAY)
    (settled,) = world.events(NoticeSettled)
    assert (settled.failure, world.attempts[-1][0] > START + HOUR) == (None, True)


LINED = registry(hook={"alive_at": "08:00"})


def line(number: int, at: datetime) -> NoticeRequested:
    return NoticeRequested(
        agency="cisa", endpoint="hook", notice_id=RELEASES[number], notice="alive", about="hook", requested_at=at
    )


def test_a_daily_line_is_said_again_until_it_is_taken_or_the_next_days_is_there() -> None:
    world = World(fails("unreachable", START + 30 * HOUR), registry=LINED).take(line(0, START)).until(START + DAY)
    assert len(world.attempts) > 3
    world.take(line(1, START + DAY)).until(START + 3 * DAY)
    first, second = world.events(NoticeSettled)
    assert (first.notice_id, first.answer) == (RELEASES[0], "not sent: superseded")
    assert (second.notice_id, second.failure) == (RELEASES[1], None)
    assert {one.notice.notice_id for _, about in world.attempts[-1:] for one in about} == {RELEASES[1]}


def test_a_daily_line_that_an_endpoint_no_longer_takes_is_not_sent_there() -> None:
    world = World(fails("unreachable"), registry=LINED).take(line(0, START)).until(START + MINUTE)
    tried = len(world.attempts)
    world.registry = registry()
    world.until(START + DAY)
    (settled,) = world.events(NoticeSettled)
    assert (settled.answer, len(world.attempts)) == ("not sent: moot", tried)


def test_what_is_pending_at_an_endpoint_that_left_the_registry_is_abandoned() -> None:
    world = World(fails()).take(requested(0, 1, START)).until(START + MINUTE)
    world.registry = registry().model_copy(update={"agencies": {}})
    world.until(START + DAY)
    (given_up,) = world.events(DeliveryAbandoned)
    assert (given_up.reason, given_up.channel, world.state) == ("removed", None, None)
