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
from services.cli import session, stack, targets
from services.cli.demo.channels import Channels
from services.cli.demo.check import check
from services.cli.demo.findings import Findings
from services.cli.demo.lines import KafkaLines, Lines
from services.cli.demo.moment import Moment
from services.cli.demo.play import Player
from services.cli.demo.scenario import FILES, Scenario, load
from services.embedded.supervisor import Happened, Supervisor
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
    secure: Annotated[
        bool,
        typer.Option("--secure", help="Everybody proves who they are: tokens and HTTPS, Kafka users and TLS."),
    ] = False,
) -> None:
    """Play the main job on a real Kafka, 30 days in 30 seconds, and compare the outcome with what is expected.

    With --secure the labs speak over HTTPS; of the agencies one reads by pages, one as a stream, two over Kafka, each
    with a token or a user of its own, and what came over these lines is compared.

    Three agencies are told by webhook or e-mail as well: receivers on loopback keep what comes, and check signatures.

    Exit code 0 when every agency got just what it should, 1 when anything differs.

    Example: herald demo --json | tail -1
    """
    folder = data or Path(tempfile.mkdtemp(prefix="herald-demo-"))
    settings = load_settings()
    if settings.kafka.bootstrap_servers:
        session.note("the demo brings a Kafka of its own: HERALD_KAFKA__BOOTSTRAP_SERVERS is not used")
    kafka_settings = settings.kafka.model_copy(update={"bootstrap_servers": "", "sasl_username": ""})
    settings = settings.model_copy(update={"kafka": kafka_settings})
    kafka = stack.use_kafka(settings, folder, session.progress, secure=secure)
    try:
        findings = asyncio.run(_run(settings, folder, kafka, json_lines))
    finally:
        kafka.stop()
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)
    _summarise(findings, json_lines)
    raise typer.Exit(findings.exit_code)


async def _run(settings: Settings, folder: Path, kafka: stack.Kafka, json_lines: bool) -> Findings:
    async with Channels(registry_file.load((FILES / "registry.yaml").read_text())) as channels:
        return await _played(settings, folder, kafka, json_lines, channels)


async def _played(
    settings: Settings, folder: Path, kafka: stack.Kafka, json_lines: bool, channels: Channels
) -> Findings:
    scenario = load()
    connection = Connection(kafka.settings)
    session.progress("making topics, applying the registry")
    written = dict(channels.registry)
    registry = Registry(**written, version=1, applied_at=scenario.starts_from, namespace=NAMESPACE, offboarded={})
    await provision(connection, settings.partitions, registry)
    await publish(connection, registry, scenario.starts_from)
    own: dict[str, dict[str, str]] = {}
    door = ""
    lines: Lines = KafkaLines(connection, scenario.labs, scenario.agencies)
    if kafka.secured is not None:
        from services.cli.demo.enrol import enrol  # noqa: PLC0415 - other commands start quicker without it

        session.progress("making users, tokens and certificates")
        own, lines, door = await enrol(connection, registry, scenario.ways, kafka.secured, folder)
    own["deliveries"] = own.get("deliveries", {}) | channels.environment
    deaths: list[str] = []

    def show(happened: Happened) -> None:
        if happened.what == "died":
            deaths.append(f"{happened.name} {happened.detail}")

    session.progress(f"starting six services{' and the door' if door else ''}, each a process of its own")
    services, clock = await _ready(
        lambda env: stack.supervisor(folder, connection.settings.bootstrap_servers, show, env, own), scenario, folder
    )
    try:
        async with Player(scenario, FILES, lines, channels, clock, _printer(json_lines)) as player:
            await player.run()
            findings = await check(connection, FILES, player, registry.agencies, door)
    finally:
        targets.hide(folder)
        await services.stop()
    findings.differences += lines.failures
    findings.differences += [f"a service died: {death}" for death in deaths]
    return findings


async def _ready(
    supervisor: Callable[[dict[str, str]], Supervisor], scenario: Scenario, folder: Path
) -> tuple[Supervisor, SystemClock]:
    """The services, ready, and the clock that they go by: its first day has not begun."""
    seconds = START_SECONDS
    while True:
        started_at = datetime.now(UTC) + timedelta(seconds=seconds)
        env = {
            "HERALD_CLOCK__RATE": str(DAY),
            "HERALD_CLOCK__STARTED_AT": started_at.isoformat(),
            "HERALD_CLOCK__STARTS_FROM": scenario.starts_from.isoformat(),
        }
        services = supervisor(env)
        await services.start()
        targets.show(folder, services.ports())
        try:
            await stack.wait_ready(services)
        except BaseException:
            targets.hide(folder)
            await services.stop()
            raise
        late = (datetime.now(UTC) - started_at).total_seconds()
        if late < 0:
            clock = ClockSettings(rate=DAY, started_at=started_at, starts_from=scenario.starts_from)
            return services, SystemClock(clock)
        await services.stop()  # nothing was announced yet: the first day can be begun anew
        seconds = 1.5 * (seconds + late)
        session.progress(f"this machine is slow today: starting them again, with {seconds:.0f} s to come up")


def _printer(json_lines: bool) -> Callable[[Moment], None]:
    def show(moment: Moment) -> None:
        print(moment.as_json() if json_lines else moment, flush=True)

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
