"""A service whose process is hurt from within: between any two steps of its shards, or in its decider.

`HERALD_TEST_STEP=commit:3:kill python -m tests.chaos.hurt windows` kills itself the third time that a shard is about
to commit. The steps, in order: `fence`, `fenced`, `restored`, `open` of an opening, then `begin`, `send`, `sent`,
`commit`, `committed`, `confirmed` of each transaction. What can be done: `kill` (with -9), `freeze` (until somebody
thaws it), or a number of seconds for which that shard alone stands still. `HERALD_TEST_POISON=record:word` (or
`timer:word`) makes the decider raise where command or state hold the word, `HERALD_TEST_WITHOUT=input` is a build that
lacks an input, `HERALD_TEST_MAX_OUTPUTS=4` makes transactions small.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.command import Command, TimerDue
from schemas.envelope import Emitted
from services.kernel import ledger, shard
from services.kernel.ledger import Ledger
from services.kernel.process import main
from services.kernel.service import Service
from services.kernel.transaction import Transactions

OPENING = ("fence", "fenced", "restored", "open")
WORKING = ("begin", "send", "sent", "commit", "committed", "confirmed")
STEPS = (*OPENING, *WORKING)


class Trap:
    """Waits for one step to be reached so many times."""

    def __init__(self, step: str, times: int, deed: str) -> None:
        self._step, self._left, self._deed = step, times, deed

    async def at(self, step: str) -> None:
        """Called before or after each step."""
        if not self._springs(step):
            return
        print("trapped at", step, flush=True)
        if self._deed in {"kill", "freeze"}:
            os.kill(os.getpid(), signal.SIGKILL if self._deed == "kill" else signal.SIGSTOP)
        else:
            await asyncio.sleep(float(self._deed))

    def now(self, step: str) -> None:
        """The same, between two steps that nothing awaits."""
        if self._springs(step):
            os.kill(os.getpid(), signal.SIGKILL if self._deed == "kill" else signal.SIGSTOP)

    def _springs(self, step: str) -> bool:
        self._left -= step == self._step
        return step == self._step and self._left == 0


def _around(owner: Any, name: str, trap: Trap, before: str | None, after: str | None) -> None:
    whole = getattr(owner, name)

    async def trapped(*given: Any, **named: Any) -> Any:
        if before:
            await trap.at(before)
        result = await whole(*given, **named)
        if after:
            await trap.at(after)
        return result

    setattr(owner, name, trapped)


def arm(trap: Trap) -> None:
    """Sets the trap in this process."""
    _around(Transactions, "start", trap, "fence", "fenced")
    _around(shard, "restore", trap, None, "restored")
    _around(shard.Shard, "_reopen", trap, None, "open")
    _around(AIOKafkaProducer, "begin_transaction", trap, "begin", None)
    _around(AIOKafkaProducer, "send_batch", trap, "send", "sent")
    _around(AIOKafkaProducer, "commit_transaction", trap, "commit", "committed")
    confirm: Callable[[Ledger], None] = Ledger.confirm

    def confirmed(one: Ledger) -> None:
        confirm(one)
        trap.now("confirmed")

    Ledger.confirm = confirmed  # type: ignore[method-assign,assignment]


def poisoned(service: Service, kind: str, word: str) -> Service:
    """The service, with a decider that raises over one word."""

    def decide(state: Any, command: Command, now: datetime) -> list[Emitted]:
        if isinstance(command, TimerDue) == (kind == "timer") and word in repr((state, command)):
            raise RuntimeError("cannot decide this")
        return service.decide(state, command, now)

    return replace(service, decide=decide)


if __name__ == "__main__":
    hurt: Service = import_module(f"services.{sys.argv[1]}.app").SERVICE
    if step := os.environ.get("HERALD_TEST_STEP"):
        chosen, times, deed = step.split(":")
        arm(Trap(chosen, int(times), deed))
    if poison := os.environ.get("HERALD_TEST_POISON"):
        hurt = poisoned(hurt, *poison.split(":"))
    if without := os.environ.get("HERALD_TEST_WITHOUT"):
        hurt = replace(hurt, inputs=tuple(each for each in hurt.inputs if each.topic != without))
    if most := os.environ.get("HERALD_TEST_MAX_OUTPUTS"):
        ledger.MAX_OUTPUTS = int(most)
    main(hurt)
