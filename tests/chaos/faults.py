"""Does what a schedule says to a run: here to endpoints, registry and database, elsewhere to brokers and processes."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from services.kernel.clock import SystemClock
from services.kernel.registry_log import in_force, publish
from tests.broker.deployment import Deployment
from tests.broker.receivers import Hooks, Mails
from tests.chaos.brokers import RECOVERY_SECONDS, Brokers
from tests.chaos.cluster import Cluster
from tests.chaos.copies import Copies
from tests.chaos.database import Database
from tests.chaos.load import Load, registered
from tests.chaos.schedule import KAFKA, Burst, Fault
from tests.chaos.watching import rounds

RESTED_SECONDS = 90.0


class Faults:
    """Hurts, and waits for the recovery. What must not happen is in `findings`."""

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
        self._database, self._hooked, self._mailed, self._say = database, hooked, mailed, say
        self.findings: list[str] = []
        self.done: Counter[str] = Counter()
        self.brokers = Brokers(deployment, cluster, self.findings, say)
        self.copies = Copies(deployment, load, self.findings, say)

    async def burst(self, burst: Burst) -> None:
        """All of it, each at its time."""
        await asyncio.gather(*map(self._strike, burst.faults))
        await self.copies.end_trapped()

    async def recovered(self) -> None:
        """Waits until every partition stands on all brokers and every copy is ready; in vain: a finding."""
        until, missing, said = time.monotonic() + RECOVERY_SECONDS, "", ""
        while time.monotonic() < until:
            self.copies.reap()
            processes = list(self.copies)
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
        logs, now = [one.log for one in self.copies.watchdogs()], time.time()
        until = now + RESTED_SECONDS
        while not any(one.succeeded and one.began >= now for log in logs for one in rounds(log)):
            if time.time() > until:
                self.findings.append(f"no round of a watchdog came through within {RESTED_SECONDS:g} s in the end")
                break
            await asyncio.sleep(0.1)
        await self.copies.end_watchdogs()

    async def _strike(self, fault: Fault) -> None:
        await asyncio.sleep(fault.after)
        self._say(f"  {fault}")
        if fault.kind in KAFKA:
            struck = await self.brokers.strike(fault)
            self.done[fault.kind] += struck
            return
        self.done[fault.kind] += 1
        match fault.kind:
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
                await self.copies.strike(fault)

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
