"""Spans wait for their collector in bounded room, and hold nobody up."""

import threading
from collections.abc import Sequence

import pytest

from services.kernel import catalogue
from services.kernel.settings import SettingsError
from services.kernel.span_encoding import Row, Shape
from services.kernel.span_outbox import Limits, Outbox


def rows(count: int) -> list[Row]:
    """Spans that differ in when they began."""
    shape, own = Shape.__new__(Shape), f"00-{'1' * 32}-{'2' * 16}-01"
    return [Row(shape, own, None, None, (), number, number) for number in range(count)]


def counted() -> dict[str, float]:
    """Spans by outcome, so far."""
    return {outcome: catalogue.SPANS.labels(outcome)._value.get() for outcome in catalogue.SPAN_OUTCOMES}


def since(before: dict[str, float]) -> dict[str, float]:
    """Spans by outcome, since then."""
    return {outcome: count - before[outcome] for outcome, count in counted().items() if count != before[outcome]}


def test_what_is_too_much_for_a_collector_that_stands_still_is_dropped_and_counted() -> None:
    begun, goes_on = threading.Event(), threading.Event()
    sent: list[Row] = []

    def send(some: Sequence[Row]) -> bool:
        begun.set()
        goes_on.wait()
        sent.extend(some)
        return True

    before = counted()
    outbox = Outbox(send, Limits(max_queue_size=10, max_export_batch_size=4, schedule_delay=60_000))
    outbox.put(rows(4))
    begun.wait()
    outbox.put(rows(7))
    outbox.put(rows(7))
    assert since(before) == {"dropped": 4}
    goes_on.set()
    outbox.close(60)
    assert [row.began for row in sent] == [*range(4), *range(7), *range(3)]
    assert since(before) == {"dropped": 4, "exported": 14}


def test_what_is_not_taken_is_counted_and_the_next_is_sent() -> None:
    sent: list[Row] = []

    def send(some: Sequence[Row]) -> bool:
        sent.extend(some)
        if len(sent) == 4:
            raise RuntimeError("broken")
        return len(sent) > 4

    before = counted()
    outbox = Outbox(send, Limits(max_queue_size=10, max_export_batch_size=2, schedule_delay=60_000))
    outbox.put(rows(6))
    outbox.close(60)
    assert since(before) == {"failed": 4, "exported": 2}


def test_few_spans_are_sent_when_they_have_waited_long_enough() -> None:
    sent = threading.Event()

    def send(_: Sequence[Row]) -> bool:
        sent.set()
        return True

    outbox = Outbox(send, Limits(schedule_delay=1))
    outbox.put(rows(1))
    assert sent.wait(60)
    outbox.close(60)


def test_a_limit_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    with pytest.raises(SettingsError, match=r"^OTEL_BSP_MAX_QUEUE_SIZE: .* greater than or equal to 1$"):
        Limits.load()
