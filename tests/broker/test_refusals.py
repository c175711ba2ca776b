"""A shard that would have to guess does not open: it says why, and nobody is alerted twice."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewTopic

from services.kernel.connection import Connection
from services.kernel.provision import ProvisionError, provision
from tests.broker.deployment import Deployment, Process
from tests.broker.flow import registry
from tests.broker.test_deployment import receipts, send, statement
from tests.repo.runbook import quotes


async def delete(connection: Connection, *names: str) -> None:
    """Deletes topics; returns when they have gone."""
    admin = connection.admin()
    await admin.start()
    try:
        topics = set(map(connection.topic, names)) & set(await admin.list_topics())
        await admin.delete_topics(list(topics))
        while topics & set(await admin.list_topics()):
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def recreate(connection: Connection, *names: str, partitions: int = 2) -> None:
    """Deletes topics where they are there, and makes them anew, empty."""
    await delete(connection, *names)
    admin = connection.admin()
    await admin.start()
    try:
        await admin.create_topics([NewTopic(connection.topic(name), partitions, 1) for name in names])
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
        assert quotes("*state was lost*")
        assert quotes("*would go on at offset …*")
        assert "state was lost" in await problem(lost, "no genesis record")
        assert "re-created or cut" in await problem(cut, "would go on at offset")
        assert len(await deployment.events("windows", 2)) == 8
    finally:
        deployment.stop()


async def test_a_state_that_cannot_be_read_stops_its_shard_until_it_is_mended_and_nothing_is_lost(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "broken.", tmp_path, partitions=1)
    try:
        await deployment.prepare(registry())
        windows = deployment.start("gateway", "announcements", "windows")[-1]
        await send(deployment, "releases.lab-a", statement("m-1", "e-1"))
        await deployment.settled("windows", 1)
        windows.kill()
        (kept,) = [one for one in await deployment.read("state.windows") if not one.key.startswith(b"!")]
        assert kept.headers
        await rewrite(deployment.connection, kept, b'{"life":1}')
        (heir,) = deployment.start("windows")
        await deployment.ready(heir)  # it opens on what the header says
        await send(deployment, "releases.lab-a", statement("m-1", "e-2", handling="otherwise"))
        said = await problem(heir, "cannot be read")
        assert f"the state of {kept.key.decode()} in state.windows partition 0 cannot be read: revision: Field" in said
        assert len(await deployment.events("windows")) == 1
        await rewrite(deployment.connection, kept, kept.value)
        assert len(await deployment.settled("windows", 2)) == 2
        assert await deployment.read("dead-letters") == []
    finally:
        deployment.stop()


async def rewrite(connection: Connection, kept: Any, value: bytes) -> None:
    """Another value for a state, beside the header that it had."""
    producer = connection.producer()
    await producer.start()
    try:
        where = connection.topic("state.windows")
        await producer.send_and_wait(where, value, key=kept.key, partition=0, headers=list(kept.headers))
    finally:
        await producer.stop()


async def test_a_state_topic_that_was_lost_is_not_made_anew_and_that_of_a_new_service_is(
    kafka: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, "lost.", tmp_path, partitions=1)
    try:
        await deployment.prepare(registry())
        await send(deployment, "windows", b"{}")
        await send(deployment, "acks.agency-a", b"{}")
        lost = ["state.notifier", "state.gateway", "state.deliveries", "deliveries"]
        await delete(deployment.connection, *lost)
        for service, held in (("gateway", "lost.acks.agency-a"), ("notifier", "lost.windows")):
            said = f"topic lost.state.{service} is missing although {held} is there: its state was lost"
            assert service == "gateway" or quotes(said.replace("lost.", "herald."))
            with pytest.raises(ProvisionError, match=f"{said}.* restore a back-up"):
                await provision(deployment.connection, 1, registry())
            (refuses,) = deployment.start(service)
            assert await asyncio.to_thread(refuses.popen.wait, 60) == 2
            assert f"topic lost.state.{service} is missing although" in refuses.log.read_text().splitlines()[-1]
            await recreate(deployment.connection, f"state.{service}", partitions=1)
        assert await provision(deployment.connection, 1, registry()) == ["deliveries", "state.deliveries"]
        assert len(await deployment.read("state.deliveries")) == 1
    finally:
        deployment.stop()
