"""A shard that would have to guess does not open: it says why, and nobody is alerted twice."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path

from aiokafka.admin import NewTopic

from services.kernel.connection import Connection
from tests.broker.deployment import Deployment, Process
from tests.broker.flow import registry
from tests.broker.test_deployment import receipts, send, statement


async def recreate(connection: Connection, *names: str, partitions: int = 2) -> None:
    """Deletes topics and makes them anew, empty."""
    admin = connection.admin()
    await admin.start()
    try:
        topics = [connection.topic(name) for name in names]
        await admin.delete_topics(topics)
        while set(topics) & set(await admin.list_topics()):
            await asyncio.sleep(0.05)
        await admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
    finally:
        await admin.close()


async def problem(process: Process, containing: str) -> str:
    """What keeps a process from being ready, once it says so."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/readyz", timeout=1):
                pass
        except urllib.error.HTTPError as answer:
            said = " ".join(json.loads(answer.read())["problems"].values())
            if containing in said:
                return said
        except OSError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError(process.log.read_text()[-3000:])


async def test_lost_state_and_a_recreated_topic_are_errors_for_people(kafka: str, tmp_path: Path) -> None:
    deployment = Deployment(kafka, "guess.", tmp_path, partitions=2)
    try:
        await deployment.prepare(registry())
        processes = {process.name: process for process in deployment.start("gateway", "announcements", "windows")}
        await deployment.ready()
        for n in range(8):
            await send(deployment, "releases.lab-a", statement(f"m-{n}", f"e-{n}"))
        for n in range(8):
            await receipts(deployment, "lab-a", f"e-{n}")
        assert len(await deployment.settled("windows", 8, 2)) == 8
        for name in ("announcements", "windows"):
            processes[name].kill()
        await recreate(deployment.connection, "state.announcements", "announcements")
        lost, cut = deployment.start("announcements", "windows")
        assert "state was lost" in await problem(lost, "no genesis record")
        assert "re-created or cut" in await problem(cut, "would go on at offset")
        assert len(await deployment.events("windows", 2)) == 8
    finally:
        deployment.stop()
