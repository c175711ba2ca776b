"""What is done outside at once: hanging work leaves room, and nothing begins for a shard that is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from schemas.command import Effect
from schemas.registry import Registry
from services.kernel.effects import Effects, Outside
from services.kernel.slots import Slots


class Hanging:
    """Does nothing but begin, until it is let go."""

    limit = 8

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.let_go = asyncio.Event()
        self.breaks: Callable[[str], bool] = lambda effect_id: False

    async def perform(self, key: str, effect: Effect, registry: Registry) -> Any:
        self.begun.append(effect.id)
        await self.let_go.wait()
        if self.breaks(effect.id):
            raise RuntimeError(effect.id)
        return effect.id

    async def close(self) -> None:
        """Nothing is kept."""


def effects(performer: Hanging, slots: Slots | None = None, is_ours: Callable[[], bool] = lambda: True) -> Effects:
    return Effects(Outside(performer, slots or Slots(performer.limit)), lambda: None, is_ours)


async def settle() -> None:
    """Lets every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_keys_that_hang_take_half_of_the_slots_and_one_each() -> None:
    performer = Hanging()
    one = effects(performer)
    for key in ("a", "b"):
        one.start(key, [Effect(f"{key}{n}", None) for n in range(8)], Registry())
    await settle()
    assert len(performer.begun) == 5, "half of them, and the first of the second key"
    for key in ("c", "d", "e"):
        one.start(key, [Effect(key, None)], Registry())
    await settle()
    assert performer.begun[-3:] == ["c", "d", "e"]
    performer.let_go.set()
    await settle()
    assert len(performer.begun) == len(set(performer.begun)) == 19


async def test_slots_come_back_whatever_ends_the_work() -> None:
    performer, slots = Hanging(), Slots(2)
    one, other = effects(performer, slots), effects(performer, slots)
    for key in "abcd":
        one.start(key, [Effect(key, None)], Registry())
    await settle()
    assert performer.begun == ["a", "b"]
    await one.settle(0)  # the first two are broken off; the others have waited for their slots, and need none any more
    other.start("e", [Effect("e", None)], Registry())
    await settle()
    assert performer.begun == ["a", "b", "e"]
    performer.let_go.set()
    await settle()
    for key in "fgh":
        other.start(key, [Effect(key, None)], Registry())
    await settle()
    assert performer.begun == ["a", "b", "e", "f", "g", "h"]


async def test_what_waits_for_a_slot_does_not_begin_once_its_shard_is_lost_and_begins_when_it_is_back() -> None:
    performer, is_ours = Hanging(), True
    one = effects(performer, Slots(1), lambda: is_ours)
    wanted = {key: [Effect(key, None)] for key in "ab"}
    for key, effect in wanted.items():
        one.start(key, effect, Registry())
    await settle()
    is_ours = False
    performer.let_go.set()
    await settle()
    assert performer.begun == ["a"]
    is_ours = True
    for key, effect in wanted.items():
        one.start(key, effect, Registry())
    await settle()
    assert performer.begun == ["a", "b"]


async def test_when_two_break_at_once_both_begin_again() -> None:
    performer = Hanging()
    performer.breaks = lambda effect_id: performer.begun.count(effect_id) == 1
    one = effects(performer)
    performer.let_go.set()
    wanted = [Effect("first", None), Effect("second", None)]
    one.start("a", wanted, Registry())
    await settle()
    with pytest.raises(RuntimeError, match="first"):
        one.next()
    one.start("a", wanted, Registry())
    await settle()
    assert [one.next(), one.next(), one.next()] == [("a", "first", "first"), ("a", "second", "second"), None]
