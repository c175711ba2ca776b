"""A service whose process is hurt from within: between any two steps of its shards, or in its decider.

`HERALD_TEST_STEP=commit:3:kill python -m tests.chaos.hurt windows` kills itself the third time that a shard is about
to commit. The steps, in order: `fence`, `fenced`, `restored`, `open` of an opening, then `begin`, `send`, `sent`,
`commit`, `committed`, `confirmed` of each transaction; `effect` and `done` stand before and after each effect. What
can be done: `kill` (with -9), `freeze` (until somebody thaws it), or a number of seconds for which that shard alone
stands still; `commit:every:2` is two seconds each time. `HERALD_TEST_POISON=record:word` (or
`timer:word`) makes the decider raise where command or state hold the word, `HERALD_TEST_WITHOUT=input` is a build that
lacks an input, `HERALD_TEST_MAX_OUTPUTS=4` makes transactions small, and a file named by `HERALD_TEST_CLOCK` holds so
many seconds by which the process's clock is wrong: whoever writes there steps it.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.command import Command, TimerDue
from schemas.envelope import Emitted
from services.deliveries.perform import Courier
from services.kernel import draft, shard
from services.kernel.clock import SystemClock
from services.kernel.ledger import Ledger
from services.kernel.process import main
from services.kernel.service import Service
from services.kernel.transaction import Transactions

OPENING = ("fence", "fenced", "restored", "open")
WORKING = ("begin", "send", "sent", "commit", "committed", "confirmed")
STEPS = (*OPENING, *WORKING)
_EVERY = -(10**9)


class Traps:
    """Wait for steps to be reached so many times: `commit:3:kill`, several with commas between."""

    def __init__(self, said: str) -> None:
        self._set: dict[str, tuple[int, str]] = {}
        for each in said.split(","):
            step, times, deed = each.split(":")
            self._set[step] = _EVERY if times == "every" else int(times), deed

    async def at(self, step: str) -> None:
        """Called before or after each step."""
        deed = self._sprung(step)
        if deed in {"kill", "freeze"}:
            os.kill(os.getpid(), signal.SIGKILL if deed == "kill" else signal.SIGSTOP)
        elif deed is not None:
            await asyncio.sleep(float(deed))

    def now(self, step: str) -> None:
        """The same, between two steps that nothing awaits."""
        if (deed := self._sprung(step)) is not None:
            os.kill(os.getpid(), signal.SIGSTOP if deed == "freeze" else signal.SIGKILL)

    def _sprung(self, step: str) -> str | None:
        if step not in self._set:
            return None
        times, deed = self._set[step]
        if times == _EVERY:
            return deed
        self._set[step] = times - 1, deed
        if times != 1:
            return None
        print("trapped at", step, flush=True)
        return deed


def _around(owner: Any, name: str, traps: Traps, before: str | None, after: str | None) -> None:
    whole = getattr(owner, name)

    async def trapped(*given: Any, **named: Any) -> Any:
        if before:
            await traps.at(before)
        result = await whole(*given, **named)
        if after:
            await traps.at(after)
        return result

    setattr(owner, name, trapped)


def arm(traps: Traps) -> None:
    """Sets the traps in this process."""
    _around(Transactions, "start", traps, "fence", "fenced")
    _around(shard, "restore", traps, None, "restored")
    _around(shard.Shard, "_reopen", traps, None, "open")
    _around(AIOKafkaProducer, "begin_transaction", traps, "begin", None)
    _around(AIOKafkaProducer, "send_batch", traps, "send", "sent")
    _around(AIOKafkaProducer, "commit_transaction", traps, "commit", "committed")
    _around(Courier, "perform", traps, "effect", "done")
    confirm: Callable[[Ledger], None] = Ledger.confirm

    def confirmed(one: Ledger) -> None:
        confirm(one)
        traps.now("confirmed")

    Ledger.confirm = confirmed  # type: ignore[method-assign,assignment]


def poisoned(service: Service, kind: str, word: str) -> Service:
    """The service, with a decider that raises over one word."""

    def decide(state: Any, command: Command, now: datetime) -> list[Emitted]:
        if isinstance(command, TimerDue) == (kind == "timer") and word in repr((state, command)):
            raise RuntimeError("cannot decide this")
        return service.decide(state, command, now)

    return replace(service, decide=decide)


class SteppedClock:
    """How wrong the process's clock is: looked up in a file again and again."""

    LOOK_SECONDS = 0.2

    def __init__(self, file: Path) -> None:
        self._file = file
        self._wrong_ms = 0
        threading.Thread(target=self._look, daemon=True).start()

    def milliseconds(self) -> int:
        """Since 1970, as this process takes it to be."""
        return time.time_ns() // 1_000_000 + self._wrong_ms

    def _look(self) -> None:
        while True:
            if self._file.exists():
                self._wrong_ms = round(float(self._file.read_text() or 0) * 1000)
            time.sleep(self.LOOK_SECONDS)


if __name__ == "__main__":
    hurt: Service = import_module(f"services.{sys.argv[1]}.app").SERVICE
    if step := os.environ.get("HERALD_TEST_STEP"):
        arm(Traps(step))
    if poison := os.environ.get("HERALD_TEST_POISON"):
        hurt = poisoned(hurt, *poison.split(":"))
    if without := os.environ.get("HERALD_TEST_WITHOUT"):
        hurt = replace(hurt, inputs=tuple(each for each in hurt.inputs if each.topic != without))
    if stepped := os.environ.get("HERALD_TEST_CLOCK"):
        wrong = SteppedClock(Path(stepped))
        SystemClock.now = lambda clock: clock.at(wrong.milliseconds())  # type: ignore[assignment,method-assign]
    if most := os.environ.get("HERALD_TEST_MAX_OUTPUTS"):
        draft.MAX_OUTPUTS = int(most)
    main(hurt)
