"""Hurts the brokers of a run, and the network before them."""

import asyncio
import signal
import time
from collections.abc import Callable

from schemas.topics import SERVICES
from tests.broker.deployment import Deployment
from tests.chaos.cluster import Cluster, Node
from tests.chaos.schedule import SLOW_SECONDS, SOON_SECONDS, Fault

RECOVERY_SECONDS = 120.0
LEFT_BYTES = 3000
"""On a disk that runs full: the last record that finds room may be a part of one."""

FAILS_SECONDS = 60.0
"""So long a broker may take to notice; the second time it has to start first."""

LEADERS_OF = ("releases.lab-a", "acks.agency-a", "windows", "alerts", "state.notifier", "reminders", "deliveries")
UNGUARDED = ("releases.lab-a", "releases.lab-b", "acks.agency-a")
"""Written without a transaction: what one broker alone would take, its client takes for told."""


class Brokers:
    """The three, as what is to befall them. What must not happen is added to `findings`."""

    def __init__(
        self, deployment: Deployment, cluster: Cluster, findings: list[str], say: Callable[[str], None]
    ) -> None:
        self._deployment, self._cluster, self._findings, self._say = deployment, cluster, findings, say

    async def strike(self, fault: Fault) -> bool:
        """Does it, and undoes what does not end by itself. False: it cannot be done here."""
        if fault.kind.endswith(("the leader", "the controller", "the coordinator", "a leader alone")):
            await self._strike_one_who(fault)
            return True
        if fault.kind == "restart each broker":
            for number in self._cluster.nodes:
                await self._cluster.end(number)
                await self._cluster.restart(number)
                await self._whole()
            return True
        node = self._cluster.nodes[fault.number]
        match fault.kind:
            case "lose a disk":
                await self._kill(node, with_disk=True)
            case "cut the network":
                node.clients.cut()
                await asyncio.sleep(fault.seconds)
                node.clients.mend()
            case "slow the network":
                node.clients.slow(fault.seconds)
                await asyncio.sleep(SLOW_SECONDS)
                node.clients.mend()
            case _:
                return await self._strike_disk(fault, node)
        return True

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

    async def _strike_disk(self, fault: Fault, node: Node) -> bool:
        """A broker whose disk is full ends, and again when it is started before there is room."""
        if node.disk is None:
            self._say("    left out: no C compiler here makes a disk that can be hurt")
            return False
        if fault.kind == "slow a disk":
            node.disk.slow(fault.seconds)
            await asyncio.sleep(SLOW_SECONDS)
            node.disk.mend()
        else:
            node.disk.fill(LEFT_BYTES)
            for _ in range(2):
                if not await self._cluster.fails(node.number, FAILS_SECONDS):
                    self._findings.append(f"broker {node.number} goes on, and its disk is full")
                await asyncio.sleep(SOON_SECONDS)
            node.disk.mend()
            await self._cluster.restart(node.number)
        return True

    async def _whole(self) -> None:
        until = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < until and await self._cluster.whole() is not None:
            await asyncio.sleep(0.2)
