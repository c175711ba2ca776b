"""A Kafka that has the topics and users of the manifests, as Strimzi's operators make them, and nothing else."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewTopic
from typer.testing import CliRunner

from schemas.topics import SERVICES
from services.cli import session
from services.cli.kafka_access import KafkaAccess
from services.cli.main import command_line
from services.embedded.broker import Broker
from services.kernel.connection import Connection
from services.kernel.settings import KafkaSettings
from tests.broker.deployment import Deployment
from tests.repo.rendered import acls
from tests.scale import long_run

REGISTRY = str(Path(__file__).resolve().parents[2] / "deploy" / "registry.yaml")


def herald(*words: str, **env: str) -> str:
    """What a command says, all of it."""
    done = CliRunner().invoke(command_line(), list(words), env=env)
    assert done.exit_code == 0, done.output
    return done.output


async def operate(connection: Connection, resources: list[dict[str, Any]]) -> None:
    """Does what the topic operator and the user operator do."""
    admin = connection.admin()
    await admin.start()
    specs = {each["metadata"]["name"]: each["spec"] for each in resources if each["kind"] == "KafkaTopic"}
    new = [NewTopic(name, spec["partitions"], 1, topic_configs=spec["config"]) for name, spec in specs.items()]
    await admin.create_topics(new)
    await admin.close()
    access = await asyncio.to_thread(KafkaAccess, connection)
    for user in [each for each in resources if each["kind"] == "KafkaUser"]:
        await asyncio.to_thread(access.add, acls(user))
        await asyncio.to_thread(access.put, user["metadata"]["name"], f"of {user['metadata']['name']}")


@long_run
async def test_on_the_topics_and_users_of_the_manifests_the_job_makes_state_alone_and_services_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("HERALD_")]:
        monkeypatch.delenv(name)
    resources = [json.loads(line) for line in herald("registry", "manifests", REGISTRY, "--json").splitlines()]
    broker = Broker(tmp_path, secure=True)
    running = broker.start(print, owned=True)
    deployment = Deployment(running.bootstrap_servers, "herald.", tmp_path)
    try:
        await operate(Connection(session.embedded(KafkaSettings(), broker, running.bootstrap_servers)), resources)
        login = {
            "HERALD_KAFKA__BOOTSTRAP_SERVERS": running.bootstrap_servers,
            "HERALD_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "HERALD_KAFKA__SSL_CAFILE": str(broker.cafile),
        }
        operator = login | _user("service.operator.1")
        said = await asyncio.to_thread(
            herald, "registry", "apply", REGISTRY, "--yes", "--no-secrets", "--json", **operator
        )
        applied = next(json.loads(line) for line in said.splitlines() if line.startswith("{"))
        assert sorted(applied["topics"]) == sorted(f"state.{service}" for service in SERVICES)
        assert "nothing to change" in await asyncio.to_thread(herald, "provision", "--dry-run", **operator)
        deployment.env = login | _user("service.windows.1")
        await deployment.ready(*deployment.start("windows"))
    finally:
        deployment.stop()
        broker.stop()


def _user(name: str) -> dict[str, str]:
    return {"HERALD_KAFKA__SASL_USERNAME": name, "HERALD_KAFKA__SASL_PASSWORD": f"of {name}"}
