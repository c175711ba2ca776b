"""Random faults from a seed, on the processes of a deployment and on its broker."""

import asyncio
import os
import random
import signal
from collections import Counter

from services.embedded.broker import Broker
from tests.broker.deployment import ALL, Deployment, Process
from tests.broker.test_embedded import gone
from tests.chaos.hurt import WORKING

FAULTS = ("kill", "kill", "trap", "trap", "terminate", "join", "freeze", "stand")
FROZEN_SECONDS = (2.0, 8.0, 12.0)  # shorter than, past the session timeout (6), past the transaction timeout (10)
STOOD_SECONDS = 13
KILLS_A_BROKER = 20
"""The broker is killed as well, once in so many kills."""


class Fire:
    """Hurts services, and sees to it that each has a process that lives."""

    def __init__(self, deployment: Deployment, broker: Broker, seed: int) -> None:
        self._deployment = deployment
        self._broker = broker
        self._dice = random.Random(seed)
        self._living: dict[str, list[Process]] = {name: deployment.start(name) for name in ALL}
        self._thawing: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()

    async def burn(self, kills: int) -> None:
        """Goes on until so many processes were killed with -9, from without or within, and the frozen have thawed."""
        while self.done["killed"] < kills:
            await self._hurt(self._dice.choice(FAULTS), self._dice.choice(ALL))
            self._reap()
            if self.done["killed"] // KILLS_A_BROKER > self.done["broker"] or self._half_way(kills):
                self._kill_broker()
            await asyncio.sleep(self._dice.uniform(0.1, 1.2))
        await asyncio.gather(*self._thawing)
        for process in [process for each in self._living.values() for process in each]:
            process.signal(signal.SIGTERM)  # who still carries a trap makes room for who does not
            self._replace(process.name, process)

    async def _hurt(self, fault: str, name: str) -> None:
        process = self._dice.choice(self._living[name])
        self.done[fault] += 1
        match fault:
            case "kill":
                await asyncio.to_thread(process.kill)
                self.done["killed"] += 1
                self._replace(name, process)
            case "trap" | "stand":  # its heir dies, or stands still past the transaction timeout, between two steps
                process.signal(signal.SIGTERM)
                deed = "kill" if fault == "trap" else str(STOOD_SECONDS)
                step = f"{self._dice.choice(WORKING)}:{self._dice.randint(1, 12)}:{deed}"
                self._replace(name, process, step=step)
            case "terminate":
                process.signal(signal.SIGTERM)
                self._replace(name, process)
            case "join" if len(self._living[name]) == 1:
                self._living[name] += self._deployment.start(name)
            case "join":  # or, where there are two, one leaves
                process.signal(signal.SIGTERM)
                self._living[name].remove(process)
            case "freeze":
                process.signal(signal.SIGSTOP)
                self._replace(name, process)
                self._thaw_later(process)

    def _reap(self) -> None:
        """Replaces those whose trap has sprung."""
        for name, living in self._living.items():
            for process in [each for each in living if each.popen.poll() is not None]:
                self.done["killed"] += process.popen.returncode == -signal.SIGKILL
                self._replace(name, process)

    def _replace(self, name: str, process: Process, **hurt: str) -> None:
        self._living[name].remove(process)
        self._living[name] += self._deployment.start(name, **hurt)

    def _half_way(self, kills: int) -> bool:
        return kills <= KILLS_A_BROKER and not self.done["broker"] and self.done["killed"] >= kills // 2

    def _kill_broker(self) -> None:
        running = self._broker.status()
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        self.done["broker"] += 1
        assert gone(running.pid, 30)
        # In this thread: an owned broker lives as long as the thread that started it.
        self._broker.start(print, running.port, owned=True)

    def _thaw_later(self, process: Process) -> None:
        seconds = self._dice.choice(FROZEN_SECONDS)

        async def thaw() -> None:
            await asyncio.sleep(seconds)
            process.signal(signal.SIGCONT)  # a zombie: it goes on where it thinks it was
            await asyncio.sleep(1)
            process.signal(signal.SIGTERM)

        self._thawing.add(asyncio.create_task(thaw()))
