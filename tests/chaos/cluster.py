"""A Kafka of three brokers, each a controller too: what is committed stands on two of them at least.

Clients and brokers reach each broker through links that can be cut (tests/chaos/link.py); controllers talk straight.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.embedded.broker import IN_USE, PORT_TRIES
from services.embedded.distribution import Distribution, kafka_uuid, locate
from services.embedded.lifeline import tied
from services.embedded.ports import LOOPBACK, free, is_listening
from tests.chaos.disk import Disk, library
from tests.chaos.link import Link

NODES = (1, 2, 3)
START_SECONDS = 90
PROPERTIES = """\
process.roles=broker,controller
node.id={node}
listeners=CLIENTS://127.0.0.1:{clients},BROKERS://127.0.0.1:{brokers},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENTS://127.0.0.1:{clients_link},BROKERS://127.0.0.1:{brokers_link}
listener.security.protocol.map=CLIENTS:PLAINTEXT,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKERS
controller.listener.names=CONTROLLER
controller.quorum.voters={voters}
log.dirs={folder}/logs
metadata.log.dir={folder}/metadata
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
replica.lag.time.max.ms=3000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=33554432
"""
"""As a deployment of three has it, but for what makes a fault quick to take effect: who lags behind, or is silent, for
3 and 4 s is out (Kafka: 30 and 9)."""


class Node:
    """One of the three."""

    def __init__(self, number: int, folder: Path, cluster: str, disks: Path | None) -> None:
        self.number, self.folder, self.cluster = number, folder, cluster
        self.clients_port, self.brokers_port, self.controller_port = free(), free(), free()
        self.clients, self.brokers = Link(self.clients_port), Link(self.brokers_port)
        self.log = folder / "kafka.log"
        self.disk = Disk(folder.with_suffix(".disk"), disks) if disks else None
        self.popen: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self.popen is not None and self.popen.poll() is None

    def write(self, voters: str) -> None:
        """Its settings, and directories that Kafka takes for formatted."""
        for directory in ("logs", "metadata"):
            (self.folder / directory).mkdir(parents=True)
            self._claim(directory)
        text = PROPERTIES.format(
            node=self.number,
            clients=self.clients_port,
            brokers=self.brokers_port,
            controller=self.controller_port,
            clients_link=self.clients.port,
            brokers_link=self.brokers.port,
            voters=voters,
            folder=self.folder,
        )
        (self.folder / "server.properties").write_text(text)

    def launch(self, distribution: Distribution) -> None:
        """Starts the process, tied to this thread's life; it is ready later."""
        java = [*distribution.command(320), "kafka.Kafka", str(self.folder / "server.properties")]
        env = os.environ | (self.disk.env if self.disk else {})
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                tied(java), stdout=log, stderr=log, cwd=self.folder, start_new_session=True, env=env
            )

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        assert self.popen is not None
        self.popen.send_signal(number)

    def kill(self) -> None:
        """kill -9, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        assert self.popen is not None
        self.popen.wait(30)

    def lose_disk(self) -> None:
        """All its records are gone; a new disk stands in the place of the old one. (What was decided of the cluster
        is on another.) Only while it does not run."""
        assert not self.runs
        shutil.rmtree(self.folder / "logs")
        (self.folder / "logs").mkdir()
        self._claim("logs")

    def _claim(self, directory: str) -> None:
        lines = ["version=1", f"cluster.id={self.cluster}", f"node.id={self.number}", f"directory.id={kafka_uuid()}"]
        (self.folder / directory / "meta.properties").write_text("\n".join(lines) + "\n")


class Cluster:
    """The three, and who does what among them."""

    def __init__(self, folder: Path) -> None:
        self._distribution = locate(print)
        self._folder = folder
        self._disks = library(folder)
        self._admin: AdminClient | None = None
        self._make()

    def _make(self) -> None:
        cluster = kafka_uuid()
        self.nodes = {number: Node(number, self._folder / f"kafka-{number}", cluster, self._disks) for number in NODES}
        voters = ",".join(f"{n}@{LOOPBACK}:{node.controller_port}" for n, node in self.nodes.items())
        for node in self.nodes.values():
            node.write(voters)
        self._format(cluster)

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect: through the links."""
        return ",".join(f"{LOOPBACK}:{node.clients.port}" for node in self.nodes.values())

    async def start(self) -> None:
        """Starts all, and waits until each knows the others; elsewhere, where a port was taken meanwhile."""
        for _ in range(PORT_TRIES - 1):
            try:
                await self._start()
            except AssertionError:
                if not any(IN_USE in node.log.read_text(errors="replace") for node in self.nodes.values()):
                    raise
                self.stop()
                for node in self.nodes.values():
                    shutil.rmtree(node.folder)
                self._make()
            else:
                return
        await self._start()

    async def _start(self) -> None:
        for node in self.nodes.values():
            node.launch(self._distribution)
        await asyncio.gather(*map(self._listens, self.nodes.values()))
        straight = ",".join(f"{LOOPBACK}:{node.clients.port}" for node in self.nodes.values())
        self._admin = AdminClient({"bootstrap.servers": straight, "log_level": 0})
        await self._until_whole(START_SECONDS)

    async def restart(self, number: int) -> None:
        """Starts one that has ended; returns when it listens."""
        node = self.nodes[number]
        if not node.runs:
            node.launch(self._distribution)
        await self._listens(node)

    async def fails(self, number: int, seconds: float) -> bool:
        """Starts one that has ended; whether it ends by itself in that time."""
        node = self.nodes[number]
        if not node.runs:
            node.launch(self._distribution)
        assert node.popen is not None
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(node.popen.wait, seconds)
        return not node.runs

    async def end(self, number: int) -> None:
        """SIGTERM: it hands its partitions over, and ends."""
        node = self.nodes[number]
        node.signal(signal.SIGTERM)
        assert node.popen is not None
        try:
            await asyncio.to_thread(node.popen.wait, 40)
        except subprocess.TimeoutExpired:
            node.kill()

    def stop(self) -> None:
        """Ends all. Their data is nobody's any more, so nothing is handed over."""
        for node in self.nodes.values():
            if node.runs:
                node.kill()
            node.clients.close()
            node.brokers.close()

    def controller(self) -> int:
        """The node that leads the controllers, by what each has written down of the last election."""
        told = []
        for node in self.nodes.values():
            state = json.loads((node.folder / "metadata" / "__cluster_metadata-0" / "quorum-state").read_text())
            told.append((state["leaderEpoch"], state["leaderId"]))
        epoch, leader = max(told)
        assert leader in self.nodes, f"epoch {epoch} has no leader yet"
        return int(leader)

    async def leader(self, topic: str, partition: int) -> int:
        """The node that leads a partition; 0: none does."""
        return (await self._leaders()).get((topic, partition), (0, 0))[0]

    async def coordinator(self, transactional_id: str) -> int:
        """The node that coordinates the transactions of an id: the leader of its partition (Java's String.hashCode)."""
        number = 0
        for unit in transactional_id.encode("utf-16-be")[1::2]:
            number = (31 * number + unit) & 0xFFFFFFFF
        signed = number - (1 << 32) if number >> 31 else number
        partitions = sum(topic == "__transaction_state" for topic, _ in await self._leaders())
        return await self.leader("__transaction_state", abs(signed) % partitions) if partitions else 0

    async def whole(self) -> str | None:
        """What is missing until every partition stands on all three; None: nothing."""
        try:
            found = await self._leaders()
        except KafkaException as error:  # no broker answers, or none in time
            return f"no answer ({error})"
        short = [f"{topic}/{number}" for (topic, number), (leader, count) in found.items() if not leader or count < 3]
        return f"{len(short)} partitions are not on all three, such as {sorted(short)[0]}" if short else None

    async def _leaders(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Of each partition: its leader, 0 for none, and how many are in sync."""
        assert self._admin is not None
        found = await asyncio.to_thread(self._admin.list_topics, timeout=5)
        return {
            (topic, number): (max(0, one.leader), len(one.isrs))
            for topic, about in found.topics.items()
            for number, one in about.partitions.items()
        }

    async def _until_whole(self, seconds: float) -> None:
        assert self._admin is not None
        until = time.monotonic() + seconds
        while True:
            with suppress(KafkaException):  # none of them answers yet
                if len((await asyncio.to_thread(self._admin.list_topics, timeout=2)).brokers) == len(self.nodes):
                    return
            assert all(node.runs for node in self.nodes.values()), "a broker ended before it knew the others"
            assert time.monotonic() < until, "the brokers do not find each other"
            await asyncio.sleep(0.1)

    async def _listens(self, node: Node) -> None:
        until = time.monotonic() + START_SECONDS
        while not is_listening(node.clients_port):
            words = node.log.read_text(errors="replace")[-1500:] if not node.runs or time.monotonic() > until else ""
            assert node.runs, f"broker {node.number} ended: {words}"
            assert time.monotonic() < until, f"broker {node.number} does not listen: {words}"
            await asyncio.sleep(0.1)

    def _format(self, cluster: str) -> None:
        """Kafka's own tool makes the first bootstrap snapshot (which features there are); the others get a copy."""
        first = self.nodes[NODES[0]]
        shutil.rmtree(first.folder / "metadata")
        shutil.rmtree(first.folder / "logs")
        java = [*self._distribution.command(320), "kafka.tools.StorageTool", "format"]
        java += ["-t", cluster, "-c", str(first.folder / "server.properties")]
        done = subprocess.run(java, capture_output=True, text=True, check=False, env=os.environ)
        assert done.returncode == 0, done.stdout + done.stderr
        for node in list(self.nodes.values())[1:]:
            shutil.copy(first.folder / "metadata" / "bootstrap.checkpoint", node.folder / "metadata")
