"""Does what a schedule says to the brokers, the network, the services, the endpoints and the registry of a run.

And to the doors, their database and the watchdogs.
"""

import asyncio
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from schemas.topics import SERVICES
from services.embedded.ports import LOOPBACK, free
from services.kernel.clock import SystemClock
from services.kernel.registry_log import in_force, publish
from tests.broker.deployment import Deployment, Process
from tests.broker.receivers import Hooks, Mails
from tests.chaos.cluster import Cluster, Node
from tests.chaos.database import Database
from tests.chaos.load import Load, registered
from tests.chaos.schedule import Burst, Fault
from tests.chaos.watching import CLOCK, rounds

COPIES = 2
RECOVERY_SECONDS = 120.0
SLOW_SECONDS = 8.0
ENDS_SECONDS = 30.0
RESTED_SECONDS = 90.0
TRAPPED_SECONDS = 6.0
"""So long an heir has to come to the step at which it dies or stands."""

SOON_SECONDS = 3.0
"""Between the death of a broker, or of a storm's extra copy, and its return."""

LEFT_BYTES = 3000
"""On a disk that runs full: the last record that finds room may be a part of one."""

FAILS_SECONDS = 60.0
"""So long a broker may take to notice; the second time it has to start first."""

DOOR, WATCHDOG = "gateway.door", "watchdog"

LEADERS_OF = ("releases.lab-a", "acks.agency-a", "windows", "alerts", "state.notifier", "reminders", "deliveries")
UNGUARDED = ("releases.lab-a", "releases.lab-b", "acks.agency-a")
"""Written without a transaction: what one broker alone would take, its client takes for told."""


class Faults:
    """Hurts, and sees to it that each service has its copies."""

    def __init__(
        self,
        deployment: Deployment,
        cluster: Cluster,
        database: Database,
        load: Load,
        hooked: Hooks,
        mailed: Mails,
        say: Callable[[str], None],
    ) -> None:
        self._deployment, self._cluster, self._load = deployment, cluster, load
        self._database = database
        self._hooked, self._mailed, self._say = hooked, mailed, say
        self._clocks: dict[int, Path] = {}
        self._addresses: dict[int, str] = {}
        self.findings: list[str] = []
        self.done: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        """Services that ended by themselves, and were started again."""
        self.copies: dict[str, list[Process]] = {name: [] for name in (*SERVICES, DOOR, WATCHDOG)}

    def start(self, copies: int = COPIES) -> None:
        """Starts every service, and doors and watchdogs, of which there are always two."""
        for name in (DOOR, WATCHDOG):
            for _ in range(COPIES):
                self._start(name)
        for name in SERVICES:
            for _ in range(copies):
                self._start(name)

    async def burst(self, burst: Burst) -> None:
        """All of it, each at its time."""
        await asyncio.gather(*map(self._strike, burst.faults))
        for processes in self.copies.values():
            for process in [one for one in processes if "step" in one.log.name]:
                await self._end(process)  # who still carries a trap makes room for who does not

    async def recovered(self) -> None:
        """Waits until every partition stands on all brokers and every copy is ready; in vain: a finding."""
        until, missing, said = time.monotonic() + RECOVERY_SECONDS, "", ""
        while time.monotonic() < until:
            self._reap()
            processes = [process for each in self.copies.values() for process in each]
            ready = await asyncio.gather(*(asyncio.to_thread(process.is_ready) for process in processes))
            unready = [one.log.stem for one, is_ready in zip(processes, ready, strict=True) if not is_ready]
            missing = f"not ready: {', '.join(unready)}" if unready else await self._cluster.whole() or ""
            if not missing:
                return
            if missing.startswith("not") != said.startswith("not") or not said:  # another kind of it
                self._say(f"    {missing}")
                said = missing
            await asyncio.sleep(0.3)
        self.findings.append(f"not recovered within {RECOVERY_SECONDS:g} s: {missing}")

    async def rest(self) -> None:
        """Ends the watchdogs once a round that began from now on has come through; in vain: a finding.

        Between two rounds: nothing of theirs is under way then.
        """
        watchdogs, now = self.copies.pop(WATCHDOG), time.time()
        until = now + RESTED_SECONDS
        while not any(one.succeeded and one.began >= now for each in watchdogs for one in rounds(each.log)):
            if time.time() > until:
                self.findings.append(f"no round of a watchdog came through within {RESTED_SECONDS:g} s in the end")
                break
            await asyncio.sleep(0.1)
        await asyncio.gather(*map(self._ends, watchdogs))

    async def _strike(self, fault: Fault) -> None:
        await asyncio.sleep(fault.after)
        self._say(f"  {fault}")
        self.done[fault.kind] += 1
        if fault.kind.endswith(("the leader", "the controller", "the coordinator", "a leader alone")):
            await self._strike_one_who(fault)
            return
        match fault.kind:
            case "restart each broker":
                for number in self._cluster.nodes:
                    await self._cluster.end(number)
                    await self._cluster.restart(number)
                    await self._whole()
            case "lose a disk":
                await self._kill(self._cluster.nodes[fault.number], with_disk=True)
            case "fill a disk" | "slow a disk":
                await self._strike_disk(fault, self._cluster.nodes[fault.number])
            case "cut the network":
                self._cluster.nodes[fault.number].clients.cut()
                await asyncio.sleep(fault.seconds)
                self._cluster.nodes[fault.number].clients.mend()
            case "slow the network":
                self._cluster.nodes[fault.number].clients.slow(fault.seconds)
                await asyncio.sleep(SLOW_SECONDS)
                self._cluster.nodes[fault.number].clients.mend()
            case "change the registry":
                await self._change()
            case "webhooks are refused":
                self._hooked.answer = lambda _: 503
                await asyncio.sleep(fault.seconds)
                self._hooked.answer = lambda _: 204
            case "mail is refused":
                self._mailed.answer = lambda: "451 later"
                await asyncio.sleep(fault.seconds)
                self._mailed.answer = lambda: "250 taken"
            case "kill PostgreSQL" | "restart PostgreSQL":
                await asyncio.to_thread(self._database.kill if "kill" in fault.kind else self._database.end)
                await asyncio.sleep(fault.seconds)
                self._database.start()
            case _:
                await self._strike_service(fault)

    # ---- brokers

    async def _strike_one_who(self, fault: Fault) -> None:
        node = self._cluster.nodes[await self._who(fault)]
        self._say(f"    that is broker {node.number}")
        if fault.kind.startswith("kill"):
            await self._kill(node)
        elif fault.kind.startswith("freeze"):
            node.signal(signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            node.signal(signal.SIGCONT)
        else:
            node.brokers.cut()
            await asyncio.sleep(fault.seconds)
            node.kill()
            node.brokers.mend()
            await self._kill(node, with_disk=True)

    async def _who(self, fault: Fault) -> int:
        prefix = self._deployment.prefix
        if "controller" in fault.kind:
            return self._cluster.controller()
        if "coordinator" in fault.kind:
            shard = fault.number % self._deployment.partitions
            found = await self._cluster.coordinator(f"{prefix}{SERVICES[fault.number % len(SERVICES)]}-{shard}")
        elif fault.kind == "a leader alone":
            found = await self._cluster.leader(prefix + UNGUARDED[fault.number % len(UNGUARDED)], 0)
        else:
            found = await self._cluster.leader(prefix + LEADERS_OF[fault.number % len(LEADERS_OF)], 0)
        return found or 1

    async def _kill(self, node: Node, *, with_disk: bool = False) -> None:
        if node.runs:
            node.kill()
        if with_disk:
            node.lose_disk()
        await asyncio.sleep(SOON_SECONDS)
        await self._cluster.restart(node.number)

    async def _strike_disk(self, fault: Fault, node: Node) -> None:
        """A broker whose disk is full ends, and again when it is started before there is room."""
        if node.disk is None:
            self._say("    left out: no C compiler here makes a disk that can be hurt")
            self.done[fault.kind] -= 1
        elif fault.kind == "slow a disk":
            node.disk.slow(fault.seconds)
            await asyncio.sleep(SLOW_SECONDS)
            node.disk.mend()
        else:
            node.disk.fill(LEFT_BYTES)
            for _ in range(2):
                if not await self._cluster.fails(node.number, FAILS_SECONDS):
                    self.findings.append(f"broker {node.number} goes on, and its disk is full")
                await asyncio.sleep(SOON_SECONDS)
            node.disk.mend()
            await self._cluster.restart(node.number)

    async def _whole(self) -> None:
        until = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < until and await self._cluster.whole() is not None:
            await asyncio.sleep(0.2)

    # ---- services

    async def _strike_service(self, fault: Fault) -> None:
        name, _, step = fault.where.partition(" ")
        name = name or (DOOR if fault.kind.endswith("a door") else WATCHDOG)
        living = self.copies[name]
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
                    extra = self._start(name)
                    await asyncio.sleep(SOON_SECONDS)
                    self.copies[name].remove(extra)
                    await self._ends(extra)

    async def _change(self) -> None:
        """The next version of the registry, as `herald registry apply` writes it; again, where Kafka is away."""
        connection, version = self._deployment.connection, self._load.version + 1
        until = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                if (await in_force(connection)).version < version:
                    await publish(connection, registered(version, self._hooked, self._mailed), SystemClock().now())
                break
            except Exception as error:
                if time.monotonic() > until:
                    self.findings.append(f"the registry could not be changed: {error}")
                    return
                await asyncio.sleep(0.5)
        self._load.version = version

    def _start(self, name: str, **hurt: str) -> Process:
        if name in {DOOR, WATCHDOG}:
            return self._start_around(name)
        number = len(self._deployment.processes)
        clock = self._deployment.folder / f"clock-{number}"
        (process,) = self._deployment.start(name, clock=str(clock), **hurt)
        if hurt:
            process.log = process.log.rename(process.log.with_stem(f"{process.log.stem}-step"))
        self._clocks[process.popen.pid] = clock
        self.copies[name].append(process)
        return process

    def _start_around(self, name: str) -> Process:
        port = free()
        env = self._deployment.env | ({"HERALD_DOOR__PORT": str(port)} if name == DOOR else CLOCK)
        (process,) = replace(self._deployment, env=env).start(name)
        if name == DOOR:
            self._addresses[process.popen.pid] = f"http://{LOOPBACK}:{port}"
        self.copies[name].append(process)
        self._load.doors.addresses[:] = [self._addresses[one.popen.pid] for one in self.copies[DOOR]]
        return process

    def _replace(self, process: Process, **hurt: str) -> None:
        self.copies[process.name].remove(process)
        self._start(process.name, **hurt)

    async def _end(self, process: Process, **hurt: str) -> None:
        if process in self.copies[process.name]:
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
                self.findings.append(f"{process.log.stem} ended with {code} after SIGTERM: {_last_line(process)}")
        except subprocess.TimeoutExpired:
            self.findings.append(f"{process.log.stem} did not end within {ENDS_SECONDS:g} s of SIGTERM")
            process.kill()

    def _reap(self) -> None:
        """Starts anew who has ended: killed by its trap, or by itself."""
        for processes in self.copies.values():
            for process in [one for one in processes if one.popen.poll() is not None]:
                self._note(process)
                self._replace(process)

    def _note(self, process: Process) -> None:
        """Who ended by itself is started again, as a supervisor does it, and told of."""
        if process.popen.returncode != -signal.SIGKILL:
            self.ended[process.name] += 1
            self._say(f"    {process.log.stem} ended with {process.popen.returncode}: {_last_line(process)}")


def _last_line(process: Process) -> str:
    lines = process.log.read_text(errors="replace").splitlines()
    return lines[-1][:200] if lines else ""
