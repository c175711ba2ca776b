"""A bound on many short waits."""

import asyncio
from collections.abc import Awaitable

import pytest

from services.gateway.door.within import Within


async def waits(within: Within, for_what: Awaitable[object]) -> str:
    """How a wait ended."""
    try:
        with within():
            await for_what
    except TimeoutError:
        return "over"
    return "done"


async def test_what_takes_too_long_is_over_and_what_does_not_is_done_whoever_began_first() -> None:
    within, over, first, last = Within(0.05), asyncio.Event(), asyncio.Event(), asyncio.Event()
    found = [asyncio.create_task(waits(within, event.wait())) for event in (first, over, last)]
    await asyncio.sleep(0)
    last.set()
    first.set()
    assert await asyncio.gather(*found) == ["done", "over", "done"]


async def test_each_of_many_that_began_one_after_the_other_is_over() -> None:
    within, never = Within(0.01), asyncio.Event()
    for _ in range(3):
        found = await asyncio.gather(*[waits(within, never.wait()) for _ in range(5)])
        assert found == ["over"] * 5
        assert await waits(within, asyncio.sleep(0)) == "done"


async def test_one_wait_within_another_may_be_over_alone() -> None:
    long, short, never = Within(60), Within(0.01), asyncio.Event()
    with long():
        assert await waits(short, never.wait()) == "over"
        await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_task_that_is_cancelled_meanwhile_is_cancelled() -> None:
    within, never = Within(0.01), asyncio.Event()
    task = asyncio.create_task(waits(within, never.wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_fails_fails_as_itself() -> None:
    within = Within(60)
    with pytest.raises(ValueError, match="itself"), within():
        raise ValueError("itself")


def test_it_outlives_the_loop_it_was_used_in() -> None:
    within = Within(0.01)
    for _ in range(2):
        assert asyncio.run(waits(within, asyncio.sleep(60))) == "over"
