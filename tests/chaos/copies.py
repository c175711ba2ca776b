"""Hurts the processes of a run, and sees to it that of each there are as many as there should be."""

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from schemas.topics import SERVICES
from services.embedded.ports import LOOPBACK, free
from tests.broker.deployment import Deployment, Process
from tests.chaos.load import Load
from tests.chaos.schedule import SLOW_SECONDS, SOON_SECONDS, Fault
from tests.chaos.watching import CLOCK

COPIES = 2
ENDS_SECONDS = 30.0
TRAPPED_SECONDS = 6.0
"""So long an heir has to come to the step at which it dies or stands."""

DOOR, WATCHDOG = "gateway.door", "watchdog"


class Copies:
    """By the name of a service: those that live. What must not happen is added to `findings`."""

    def __init__(self, deployment: Deployment, load: Load, findings: list[str], say: Callable[[str], None]) -> None:
        self._deployment, self._load, self._findings, self._say = deployment, load, findings, say
        self._clocks: dict[int, Path] = {}
        self._addresses: dict[int, str] = {}
        self._living: dict[str, list[Process]] = {name: [] for name in (*SERVICES, DOOR, WATCHDOG)}
        self.ended: Counter[str] = Counter()
        """Services that ended by themselves, and were started again."""

    def __iter__(self) -> Iterator[Process]:
        return iter([process for each in self._living.values() for process in each])

    def start(self, copies: int) -> None:
        """Starts every service, and doors and watchdogs, of which there are always two."""
        for name in (DOOR, WATCHDOG):
            for _ in range(COPIES):
                self._start(name)
        for name in SERVICES:
            for _ in range(copies):
                self._start(name)

    def watchdogs(self) -> list[Process]:
        """Those of them that live."""
        return self._living[WATCHDOG]

    async def end_watchdogs(self) -> None:
        """Ends all of them for good."""
        await asyncio.gather(*map(self._ends, self._living.pop(WATCHDOG)))

    async def end_trapped(self) -> None:
        """Who still carries a trap makes room for who does not."""
        for process in self:
            if "step" in process.log.name:
                await self._end(process)

    def reap(self) -> None:
        """Starts anew who has ended: killed by its trap, or by itself."""
        for process in self:
            if process.popen.poll() is not None:
                self._note(process)
                self._replace(process)

    async def strike(self, fault: Fault) -> None:
        """Does it, and undoes what does not end by itself."""
        name, _, step = fault.where.partition(" ")
        name = name or (DOOR if fault.kind.endswith("a door") else WATCHDOG)
        living = self._living[name]
        process = living[fault.number % len(living)]
        match fault.kind:
            case "kill a service" | "kill a door" | "kill a watchdog":
                process.kill()
                self._replace(process)
            case "freeze a service" | "freeze a door" | "freeze a watchdog":
                process.signal(signal.SIGSTOP)
                await asyncio.sleep(fault.seconds)
                process.signal(signal.SIGCONT)
            case "end a service" | "end a door":
                await self._end(process)
            case "die between two steps":
                await self._end(process, step=f"{step}:kill")
                await asyncio.sleep(TRAPPED_SECONDS)
            case "stand between two steps":
                await self._end(process, step=f"{step}:{fault.seconds}")
                await asyncio.sleep(TRAPPED_SECONDS + fault.seconds)
            case "step a clock":
                clock = self._clocks[process.popen.pid]
                clock.write_text(str(fault.seconds))
                await asyncio.sleep(SLOW_SECONDS)
                clock.write_text("0")
            case _:  # rebalance again and again
                for _ in range(2):
                    self._start(name)
                    await asyncio.sleep(SOON_SECONDS)
                    await self._ends(self._living[name].pop())  # the extra copy, or whoever took a hurt one's place

    def _start(self, name: str, **hurt: str) -> Process:
        if name in {DOOR, WATCHDOG}:
            return self._start_around(name)
        number = len(self._deployment.processes)
        clock = self._deployment.folder / f"clock-{number}"
        (process,) = self._deployment.start(name, clock=str(clock), **hurt)
        if hurt:
            process.log = process.log.rename(process.log.with_stem(f"{process.log.stem}-step"))
        self._clocks[process.popen.pid] = clock
        self._living[name].append(process)
        return process

    def _start_around(self, name: str) -> Process:
        port = free()
        env = self._deployment.env | ({"HERALD_DOOR__PORT": str(port)} if name == DOOR else CLOCK)
        (process,) = replace(self._deployment, env=env).start(name)
        if name == DOOR:
            self._addresses[process.popen.pid] = f"http://{LOOPBACK}:{port}"
        self._living[name].append(process)
        self._load.doors.addresses[:] = [self._addresses[one.popen.pid] for one in self._living[DOOR]]
        return process

    def _replace(self, process: Process, **hurt: str) -> None:
        self._living[process.name].remove(process)
        self._start(process.name, **hurt)

    async def _end(self, process: Process, **hurt: str) -> None:
        if process in self._living[process.name]:
            self._replace(process, **hurt)
            await self._ends(process)

    async def _ends(self, process: Process) -> None:
        """SIGTERM; who does not end, or says that it failed, is a finding. (-15: it had not come to hear of it yet.)"""
        if process.popen.poll() is not None:
            self._note(process)
            return
        process.signal(signal.SIGCONT)
        process.signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(process.popen.wait, ENDS_SECONDS)
            if code not in {0, -signal.SIGTERM, -signal.SIGKILL}:
                self._findings.append(f"{process.log.stem} ended with {code} after SIGTERM: {_last_line(process)}")
        except subprocess.TimeoutExpired:
            self._findings.append(f"{process.log.stem} did not end within {ENDS_SECONDS:g} s of SIGTERM")
            process.kill()

    def _note(self, process: Process) -> None:
        """Who ended by itself is started again, as a supervisor does it, and told of."""
        if process.popen.returncode != -signal.SIGKILL:
            self.ended[process.name] += 1
            self._say(f"    {process.log.stem} ended with {process.popen.returncode}: {_last_line(process)}")


def _last_line(process: Process) -> str:
    lines = process.log.read_text(errors="replace").splitlines()
    return lines[-1][:200] if lines else ""
