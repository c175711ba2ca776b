"""Runs programs until told to stop: restarts what dies, with back-off, and ends everything that it started.

Each program is tied to the supervisor's life, so that kill -9 of the supervisor leaves nothing behind.
"""

import asyncio
import fcntl
import json
import os
import random
import signal
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from services.embedded import EmbeddedError
from services.embedded.lifeline import tied
from services.embedded.ports import LOOPBACK, free

STOP_SECONDS = 12.0
FIRST_BACKOFF, LONGEST_BACKOFF, STEADY_SECONDS = 0.5, 15.0, 30.0


@dataclass(slots=True)
class Program:
    """One program to keep alive. It is told its health port by HERALD_HTTP_PORT."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    port: int = 0


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that people may want to know of a program."""

    what: Literal["started", "died", "stopped"]
    name: str
    detail: str


class Supervisor:
    """Keeps programs alive in one data directory; a second one there is refused."""

    def __init__(self, data: Path, programs: list[Program], show: Callable[[Happened], None]) -> None:
        self._data = data.absolute()
        self._programs = programs
        self._show = show
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: IO[str] | None = None
        self._stopping = False

    def log_of(self, name: str) -> Path:
        """Where a program's output goes."""
        return self._data / "logs" / f"{name}.log"

    def pid_of(self, name: str) -> int | None:
        """The live process of a program."""
        process = self._processes.get(name)
        return process.pid if process is not None and process.returncode is None else None

    def ports(self) -> dict[str, int]:
        """Where each program serves its health and metrics, once it was started."""
        return {program.name: program.port for program in self._programs}

    async def start(self) -> None:
        """Starts every program. Raises EmbeddedError when another supervisor runs here."""
        (self._data / "logs").mkdir(parents=True, exist_ok=True)
        self._lock = (self._data / "up.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EmbeddedError(f"another `herald up` runs on {self._data}: stop it, or use another --data") from None
        for program in self._programs:
            program.port = program.port or free()
            self._tasks.append(asyncio.create_task(self._keep_alive(program)))

    async def ready(self, seconds: float) -> list[str]:
        """Waits until every program is ready; returns the names of those that are not after so long."""
        until = time.monotonic() + seconds
        waiting = list(self._programs)
        while waiting and time.monotonic() < until:
            waiting = [p for p in waiting if not await asyncio.to_thread(_is_ready, p.port)]
            if waiting:
                await asyncio.sleep(0.1)
        return [p.name for p in waiting]

    async def stop(self) -> None:
        """Ends every program, bounded in time."""
        self._stopping = True
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        waits = [asyncio.create_task(process.wait()) for process in self._processes.values()]
        if waits:
            await asyncio.wait(waits, timeout=STOP_SECONDS)
        for process in self._processes.values():
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *waits, return_exceptions=True)
        if self._lock is not None:
            self._lock.close()

    async def _keep_alive(self, program: Program) -> None:
        backoff = FIRST_BACKOFF
        while not self._stopping:
            began = time.monotonic()
            code = await self._run(program)
            if self._stopping:
                self._show(Happened("stopped", program.name, f"code {code}"))
                return
            if time.monotonic() - began > STEADY_SECONDS:
                backoff = FIRST_BACKOFF
            pause = backoff * random.uniform(0.5, 1.0)
            detail = f"ended with code {code}; starting it again in {pause:.1f} s (log: {self.log_of(program.name)})"
            self._show(Happened("died", program.name, detail))
            await asyncio.sleep(pause)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _run(self, program: Program) -> int:
        with self.log_of(program.name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *tied(program.argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **program.env, "HERALD_HTTP_PORT": str(program.port)},
                start_new_session=True,
            )
        self._processes[program.name] = process
        where = f"http://{LOOPBACK}:{program.port} (pid {process.pid})"
        self._show(Happened("started", program.name, where))
        return await process.wait()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as answer:
            return bool(json.load(answer)["ready"])
    except (OSError, ValueError):
        return False
