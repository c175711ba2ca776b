"""A real Herald beside Debian's Prometheus and Alertmanager, with hands to hurt it. The rules run twelve times as fast.

A minute is five seconds then; `watching.faster` says what that changes.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.registry import Registry
from schemas.topics import SERVICES
from services.embedded.ports import is_listening
from tests.broker import flow
from tests.broker.certificates import self_signed
from tests.broker.deployment import Deployment, Process
from tests.broker.receivers import SECRET, Hooks
from tests.broker.test_deployment import send, statement
from tests.broker.test_embedded import herald
from tests.broker.watching import Watch, named, needs_alertmanager, needs_prometheus, watching
from tests.scale import long_run

FACTOR = 12
MARKS = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
    long_run,
    needs_prometheus,
    needs_alertmanager,
]
"""Of every module that hurts a Herald so."""

LATE = {
    "HeraldAlertLate time",
    "HeraldAlertLate statement",
    "HeraldAlertsLateFast",
    "HeraldAlertsLateSteadily",
    "HeraldAlertsLateSlowly",
    "HeraldAlertsLatePersistently",
}
"""What an alert that was late is seen in, for as long as each rule looks back."""


def registry(hooked: Hooks, version: int = 1, **policy: str) -> Registry:
    """agency-a has two webhooks, agency-b one, agency-c none."""
    whole = json.loads(flow.registry().model_dump_json())
    hook = {"channel": "webhook", "tier": "watch", "secrets": ["env:HOOK_SECRET"]}
    for name in flow.AGENCIES:
        whole["agencies"][name] |= {"tiers": ["watch"]}
    for name in flow.CHOSEN:
        whole["agencies"][name]["endpoints"] = {"desk": hook | {"url": f"{hooked.address}/{name}"}}
    whole["agencies"]["agency-a"]["endpoints"]["spare"] = hook | {"url": f"{hooked.address}/spare"}
    whole |= {"version": version, "allow_networks": ["127.0.0.0/8"]}
    whole["policy"] |= policy
    return Registry.model_validate_json(json.dumps(whole))


class Scene:
    """A Herald, its watch, and a receiver."""

    def __init__(self, deployment: Deployment, watch: Watch, hooked: Hooks) -> None:
        self.deployment, self.watch, self.hooked = deployment, watch, hooked
        self._said = 0

    def of(self, name: str) -> Process:
        """The live process of a service."""
        return next(p for p in self.deployment.processes if p.name == name and p.popen.poll() is None)

    async def stop(self, name: str) -> None:
        """Ends a service as planned: it is no target any more."""
        process = self.of(name)
        self.watch.show(named(one for one in self.deployment.processes if one is not process))
        process.signal(signal.SIGTERM)
        await asyncio.to_thread(process.popen.wait, 30)

    async def start(
        self, name: str, *, wait: bool = True, settings: Mapping[str, str] | None = None, **hurt: str
    ) -> Process:
        """Starts a service anew. It is a target once it listens."""
        usual = self.deployment.env
        self.deployment.env = {**usual, **(settings or {})}
        (process,) = self.deployment.start(name, **hurt)
        self.deployment.env = usual
        while not is_listening(process.port):
            await asyncio.sleep(0.1)
        self.watch.show(named(self.deployment.processes))
        if wait:
            await self.deployment.ready(process)
        return process

    async def announce(self, *agencies: str, **changes: Any) -> None:
        """A release for these agencies."""
        self._said += 1
        name = f"scene-{self._said}"
        audience = {"mode": "listed", "agencies": list(agencies)}
        await send(self.deployment, "releases.lab-a", statement(name, name, audience=audience, **changes))

    def withdrawal(self, reference: str = "never-announced") -> bytes:
        """What is refused, and tells nobody anything: a withdrawal, by lab-b, of what was never announced."""
        self._said += 1
        event: dict[str, Any] = {"specversion": "1.0", "id": f"scene-{self._said}", "source": "/labs/lab-b"}
        event |= {"type": "herald.release.withdrawn.v1", "data": {"reference": reference}}
        return json.dumps(event).encode()

    async def herald(self, *arguments: str) -> None:
        """A command of an operator's."""
        settings = {
            "HERALD_KAFKA__BOOTSTRAP_SERVERS": self.deployment.bootstrap_servers,
            "HERALD_KAFKA__TOPIC_PREFIX": self.deployment.prefix,
            "HERALD_PARTITIONS": str(self.deployment.partitions),
        }
        done = await asyncio.to_thread(herald, *arguments, **settings)
        assert done.returncode == 0, done.stdout + done.stderr

    async def suppresses(self, by: str, *others: str) -> None:
        """Waits until Alertmanager says only the one alert, and of the others that it makes them no news."""
        for _ in range(100):
            managed = await self.watch.managed()
            if by in managed and all(managed.get(name, ("", ""))[1] == "suppressed" for name in others):
                break
            await asyncio.sleep(0.2)
        assert managed[by][1] == "active"
        assert {name: managed[name][1] for name in others} == dict.fromkeys(others, "suppressed")


@asynccontextmanager
async def standing(
    kafka: str, prefix: str, folder: Path, hooked: Hooks, known: Registry, *more: str, **settings: str
) -> AsyncIterator[Scene]:
    """All services, the door and `more` of a deployment of its own, and its watch."""
    cert, key = self_signed(folder / "door.pem", days=90)
    env = {"HOOK_SECRET": SECRET, "HERALD_DATA": str(folder / ".herald"), **settings}
    env |= {"HERALD_DOOR__TLS_CERTFILE": str(cert), "HERALD_DOOR__TLS_KEYFILE": str(key)}
    deployment = Deployment(kafka, prefix, folder, partitions=2, env=env)
    await deployment.prepare(known)
    deployment.start(*SERVICES, "gateway.door", *more)
    try:
        await deployment.ready()
        with watching(folder, factor=FACTOR, managed=True) as watch:
            watch.show(named(deployment.processes))
            await watch.all_up(len(deployment.processes))
            yield Scene(deployment, watch, hooked)
    finally:
        deployment.stop()


async def shown(scene: Scene, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Around a test: it begins in quiet, and what it says that it shows has fired and has ended when it is over."""
    scene.watch.seen |= LATE
    await scene.watch.quiet(but=LATE)
    scene.watch.over.clear()
    yield
    marks = [name for mark in request.node.iter_markers("shows") for name in mark.args]
    assert set(marks) <= {name.partition(" ")[0] for name in scene.watch.over}, scene.watch.over
