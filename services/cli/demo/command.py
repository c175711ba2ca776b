"""`herald demo`: brings Herald up on a clock on which a day lasts a second, plays the scenario, checks the outcome."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from schemas import registry_file
from schemas.registry import Registry
from services.cli import session, stack
from services.cli.demo.check import Findings, check
from services.cli.demo.play import Moment, Player, as_json
from services.cli.demo.scenario import FILES, load
from services.embedded.supervisor import Happened
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.provision import provision
from services.kernel.registry_log import publish
from services.kernel.settings import ClockSettings, Settings
from services.kernel.settings import load as load_settings

DAY = 86_400.0
START_SECONDS = 12.0
"""Real seconds given to the services to come up before the scenario's first day begins."""

NAMESPACE = "6d1f3c1e-6f0e-4b5c-9c39-1d0a5b1d7c55"
"""The demo's release ids are the same in each run, so that what it prints can be compared."""


def demo(
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line, the summary last.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Keep the data here, for `herald kafka start --data`; absent: thrown away.")
    ] = None,
) -> None:
    """Play the main job on a real Kafka, 30 days in 30 seconds, and compare the outcome with what is expected.

    Exit code 0 when every agency got just what it should, 1 when anything differs.

    Example: herald demo --json | tail -1
    """
    folder = data or Path(tempfile.mkdtemp(prefix="herald-demo-"))
    settings = load_settings()
    if settings.kafka.bootstrap_servers:
        session.note("the demo brings a Kafka of its own: HERALD_KAFKA__BOOTSTRAP_SERVERS is not used")
        settings = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"bootstrap_servers": ""})})
    servers, broker = stack.use_kafka(settings, folder, session.progress)
    try:
        findings = asyncio.run(_run(settings, folder, servers, json_lines))
    finally:
        if broker is not None:
            broker.stop()
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)
    _summarise(findings, json_lines)
    raise typer.Exit(1 if findings.differences else 0)


async def _run(settings: Settings, folder: Path, servers: str, json_lines: bool) -> Findings:
    scenario = load()
    kafka = settings.kafka.model_copy(update={"bootstrap_servers": servers})
    connection = Connection(kafka)
    session.progress("making topics, applying the registry")
    written = registry_file.load((FILES / "registry.yaml").read_text())
    registry = Registry(**dict(written), version=1, applied_at=scenario.starts_from, namespace=NAMESPACE, offboarded={})
    await provision(connection, settings.partitions, registry)
    await publish(connection, registry, scenario.starts_from)
    started_at = datetime.now(UTC) + timedelta(seconds=START_SECONDS)
    clock_settings = ClockSettings(rate=DAY, started_at=started_at, starts_from=scenario.starts_from)
    env = {
        "HERALD_CLOCK__RATE": str(clock_settings.rate),
        "HERALD_CLOCK__STARTED_AT": started_at.isoformat(),
        "HERALD_CLOCK__STARTS_FROM": scenario.starts_from.isoformat(),
    }
    deaths: list[str] = []

    def show(happened: Happened) -> None:
        if happened.what == "died":
            deaths.append(f"{happened.name} {happened.detail}")

    services = stack.supervisor(folder, servers, show, env)
    session.progress("starting five services, each a process of its own")
    await services.start()
    try:
        await stack.wait_ready(services)
        late = (datetime.now(UTC) - started_at).total_seconds()
        if late > 1:
            session.note(f"this machine is slow today: the scenario begins {late:.0f} days late")
        player = Player(scenario, FILES, connection, SystemClock(clock_settings), _printer(json_lines))
        await player.run()
        findings = await check(connection, FILES)
    finally:
        await services.stop()
    findings.differences += [f"a service died: {death}" for death in deaths]
    return findings


def _printer(json_lines: bool) -> Callable[[Moment], None]:
    def show(moment: Moment) -> None:
        if json_lines:
            print(as_json(moment), flush=True)
            return
        detail = f"  {moment.detail}" if moment.detail else ""
        print(f"{moment.at:%d %b %H:%M}  {moment.who:12} {moment.what:22} {moment.about}{detail}", flush=True)

    return show


def _summarise(findings: Findings, json_lines: bool) -> None:
    for difference in findings.differences:
        session.note(f"differs: {difference}")
    if json_lines:
        print(json.dumps({"summary": findings.summary}), flush=True)
        return
    print()
    for name, value in findings.summary.items():
        print(f"  {name.replace('_', ' '):22} {value}")
    print()
    print("  every agency got just what it should" if not findings.differences else "  SOMETHING DIFFERS: see above")
