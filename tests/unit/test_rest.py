"""How long a shard lets records come together after a transaction."""

from dataclasses import replace

import pytest

from services.acknowledgements.app import PACE_SECONDS
from services.acknowledgements.app import SERVICE as ACKNOWLEDGEMENTS
from services.gateway.app import SERVICE as GATEWAY
from services.kernel.inbox import GATHERED, Inbox
from services.kernel.rest import LONGEST_SECONDS, Rest
from services.windows.app import SERVICE as WINDOWS
from tests.unit.test_kernel import item


def holding(count: int, *topics: str) -> Inbox:
    inbox = Inbox(topics)
    inbox.lanes[topics[0]].put(item(topics[0], n, n) for n in range(count))
    return inbox


def test_a_shard_that_begins_does_not_rest() -> None:
    assert Rest(WINDOWS).left(holding(1, "announcements"), 100.0) <= 0


def test_the_longer_a_transaction_took_the_longer_a_shard_rests_after_it() -> None:
    rest = Rest(replace(WINDOWS, rest=2.0))
    for took in (0.002, 0.02):
        rest.begin(100.0, took, 3)
        assert rest.left(holding(1, "announcements"), 100.001) == pytest.approx(2 * took - 0.001)
        assert rest.left(holding(1, "announcements"), 100.0 + 2 * took) <= 0


def test_after_a_transaction_that_hung_it_rests_no_longer_than_that() -> None:
    rest = Rest(WINDOWS)
    rest.begin(100.0, 30.0, 3)
    assert rest.left(holding(1, "announcements"), 100.0) == pytest.approx(LONGEST_SECONDS)


def test_where_nothing_waits_or_enough_for_a_transaction_it_does_not_rest() -> None:
    rest = Rest(WINDOWS)
    rest.begin(100.0, 0.02, 3)
    for count in (0, GATHERED):
        assert rest.left(holding(count, "announcements"), 100.0) == 0


def test_after_a_transaction_that_was_large_as_it_was_it_does_not_rest() -> None:
    rest = Rest(WINDOWS)
    rest.begin(100.0, 0.02, GATHERED)
    assert rest.left(holding(1, "announcements"), 100.0) <= 0


def test_the_edge_rests_longer_than_the_hops_after_it_so_that_what_it_let_in_together_stays_together() -> None:
    assert GATEWAY.rest > 2 * WINDOWS.rest


def test_what_nobody_waits_for_keeps_to_the_pace_until_something_else_comes() -> None:
    rest, inbox = Rest(ACKNOWLEDGEMENTS), holding(1, "alerts", "windows", "acks")
    rest.begin(100.0, 0.002, 3)
    assert rest.left(inbox, 100.0) == pytest.approx(PACE_SECONDS)
    inbox.lanes["acks"].put([item("acks", 0, 1)])
    assert rest.left(inbox, 100.0) == pytest.approx(0.002 * ACKNOWLEDGEMENTS.rest)
