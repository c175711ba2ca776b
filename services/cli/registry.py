"""`herald registry check | apply | show | history | route`: who takes part, and who would be told what."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from schemas import registry_file, release_file
from schemas.forecast import forecast
from schemas.registry import Registry, RegistryFile
from schemas.registry_diff import differences
from schemas.release import Release
from schemas.routing import addressed
from schemas.statement import Known, judge
from schemas.topics import DOMAIN_RETENTION
from schemas.watchdog import enrolled
from services.cli import manifests, registry_secrets, session
from services.cli.audited import audited
from services.cli.kafka_access import AccessError, NotSecured
from services.cli.provision import reconcile
from services.cli.windows import latest as live_windows
from services.kernel.clock import SystemClock
from services.kernel.connection import Connection
from services.kernel.provision import provision
from services.kernel.registry_log import in_force, publish, versions
from services.kernel.settings import SettingsError

app = typer.Typer(no_args_is_help=True, help="The registry: labs, agencies, capabilities and policy, as one file.")
app.command("manifests")(manifests.manifests)

REPEATED_AFTER = DOMAIN_RETENTION / 2
"""The version in force is kept no longer than another: so old, it is written again although nothing changes."""

File = Annotated[Path, typer.Argument(help="The registry, YAML.")]
Secrets = Annotated[
    bool, typer.Option("--secrets/--no-secrets", help="Look at files and variables too; no: they stand elsewhere.")
]


@app.command()
def check(file: File, secrets: Secrets = True, as_json: session.Json = False) -> None:
    """Check a registry file: line, field and remedy of whatever is wrong. Needs no Kafka.

    Secrets are looked for in this machine's files and variables, and never shown.

    Example: herald registry check deploy/registry.yaml
    """
    found = _loaded(file, secrets)
    endpoints = [f"{name}/{one}" for name, agency in found.agencies.items() for one in agency.endpoints]
    line = f"{file} is sound: {len(found.labs)} labs, {len(found.agencies)} agencies, {len(endpoints)} endpoints"
    names = {"labs": list(found.labs), "agencies": list(found.agencies), "endpoints": endpoints}
    session.say(as_json, line, outcome="sound", **names)


@app.command()
def apply(
    file: File,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    secrets: Secrets = True,
    as_json: session.Json = False,
) -> None:
    """Apply a registry file: shows what changes and what it would newly disclose, makes topics, then writes a version.

    The watchdog's lab and agency, which are Herald's own, are added to what the file states.

    Example: herald registry apply deploy/registry.yaml --yes
    """
    asyncio.run(_apply(file, yes, secrets, as_json))


@app.command()
def show(
    version: Annotated[int | None, typer.Option(help="Which; absent: the one in force.")] = None,
    as_json: session.Json = False,
) -> None:
    """Show a version of the registry.

    Example: herald registry show --version 3 --json
    """
    kept = asyncio.run(versions(session.connect(session.settings())))
    found = next((one for one in reversed(kept) if version in {None, one.version}), None)
    if found is None:
        raise SettingsError("no registry was applied yet" if version is None else f"there is no version {version}")
    if as_json:
        print(found.model_dump_json(exclude_none=True))
        return
    print(f"version {found.version}, applied {found.applied_at}")
    for lab, about in found.labs.items():
        print(f"  lab     {lab:20} {about.name}")
    for agency, wishes in found.agencies.items():
        print(f"  agency  {agency:20} {wishes.name}; tiers {', '.join(wishes.tiers)}")
    for gone, when in found.offboarded.items():
        print(f"  gone    {gone:20} {when}")


@app.command()
def history(as_json: session.Json = False) -> None:
    """List the versions of the registry and what each changed.

    Example: herald registry history
    """
    before = Registry()
    for one in asyncio.run(versions(session.connect(session.settings()))):
        changes = differences(before, one)
        session.say(as_json, f"version {one.version}, {one.applied_at}", version=one.version, changes=changes)
        if not as_json:
            for change in changes:
                print(f"  {change}")
        before = one


@app.command()
def route(
    release: Annotated[Path, typer.Argument(help="The release, YAML or JSON.")],
    lab: Annotated[str, typer.Option("--lab", envvar="HERALD_LAB", help="The lab that would announce it.")],
    file: Annotated[Path | None, typer.Option("--registry", help="Under this file; absent: the one in force.")] = None,
    as_json: session.Json = False,
) -> None:
    """Say who would be told what, when and why, if this release were announced now. Sends nothing.

    Example: herald registry route release.yaml --lab aurora-labs
    """
    stated = release_file.load(release.read_text(encoding="utf-8"))
    settings = session.settings()
    if file is not None:
        registry = Registry(**dict(registry_file.load(file.read_text(encoding="utf-8"))))
    else:
        registry = asyncio.run(in_force(session.connect(settings)))
    if lab not in registry.labs:
        raise SettingsError(f"--lab {lab} is not in the registry")
    _route(stated, lab, registry, SystemClock(settings.clock).now(), as_json)


def _route(release: Release, lab: str, registry: Registry, now: datetime, as_json: bool) -> None:
    judged = judge(Known(), release, registry, now)
    for warning in judged.planned.warnings:
        session.note(f"warning, {warning.code}: {warning.message}")
    told = forecast(release, lab, registry, judged, None, now)
    for one in told:
        line = f"{one.agency:12} {one.kind:14} {one.at}  ({one.why})"
        session.say(as_json, line, agency=one.agency, kind=one.kind, at=one.at, why=one.why)
    if not told:
        session.note("nobody would be told")


def _loaded(file: Path, secrets: bool, offboarded: frozenset[str] = frozenset()) -> RegistryFile:
    """The registry that a file states, its references looked at where they stand on this machine. Raises FileError."""
    text = file.read_text(encoding="utf-8")
    found = registry_file.load(text, offboarded)
    if secrets and (unusable := tuple(registry_secrets.faults(found))):
        session.note("what references lead to was looked for on this machine; if services run elsewhere: --no-secrets")
        raise registry_file.located(text, unusable)
    return found


async def _apply(file: Path, yes: bool, secrets: bool, as_json: bool) -> None:
    settings = session.settings()
    connection = session.connect(settings)
    before = await in_force(connection)
    written = enrolled(_loaded(file, secrets, frozenset(before.offboarded)))
    gone = sorted((before.labs.keys() - written.labs.keys()) | (before.agencies.keys() - written.agencies.keys()))
    if gone:
        raise SettingsError(
            f"{', '.join(gone)} vanished from {file}: who leaves is offboarded first (`herald offboard {gone[0]}`)"
        )
    changes = differences(before, written)
    now = SystemClock(settings.clock).now()
    after = _following(before, written, now)
    disclosed = await _newly_disclosed(connection, before, after) if before.version else []
    repeated = not changes and before.applied_at is not None and now - before.applied_at > REPEATED_AFTER
    if not changes and before.version and not repeated:
        await provision(connection, settings.partitions, before)
        await _access(connection, before)
        session.say(as_json, f"nothing to change: version {before.version} stands", outcome="unchanged")
        return
    for line in changes:
        session.note(f"  {line}")
    if repeated:
        session.note(f"  nothing; version {before.version} is repeated, before retention takes it")
    for line in disclosed:
        session.note(f"  would newly disclose {line}")
    if not yes:
        if not session.on_terminal():
            raise SettingsError("the registry would change as shown: say --yes to apply it")
        typer.confirm("Apply this?", abort=True)
    # Topics come first: nobody is named before there is a topic to reach them on.
    made = await provision(connection, settings.partitions, after)
    await audited(connection, "registry.apply", f"version {after.version}")
    await _access(connection, after)
    await publish(connection, after, now)
    line = f"registry version {after.version} is applied; {len(made)} topics made"
    session.say(as_json, line, outcome="applied", version=after.version, topics=made, changes=changes)


async def _access(connection: Connection, registry: Registry) -> None:
    """Lets the services reach what was made. Where others keep the access list, that is theirs to do."""
    try:
        await asyncio.to_thread(reconcile, connection, registry)
    except NotSecured:
        return
    except AccessError as error:
        session.note(f"the access list stays as it is: {error}")


def _following(before: Registry, written: RegistryFile, now: datetime) -> Registry:
    return Registry(
        **dict(written),
        version=before.version + 1,
        applied_at=now,
        namespace=before.namespace if before.version else str(uuid4()),
        offboarded=before.offboarded,
    )


async def _newly_disclosed(connection: Connection, before: Registry, after: Registry) -> list[str]:
    """Each live window that agencies would newly learn of."""
    lines = []
    for window in await live_windows(connection):
        if window["status"] not in {"scheduled", "open"}:
            continue
        release = Release.model_validate_json(json.dumps(_known(window["statement"])), extra="ignore")
        lab: Any = window["lab"]
        added = addressed(release, lab, after).keys() - addressed(release, lab, before).keys()
        lines += [f"{lab}/{release.reference} ({window['status']}) to {agency}" for agency in sorted(added)]
    return lines


def _known(statement: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if value is not None}
