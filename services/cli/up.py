"""`herald up`: a Kafka and every service, until Ctrl-C."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from services.cli import session, stack, targets
from services.embedded import EmbeddedError
from services.embedded.broker import Broker
from services.embedded.ports import free
from services.embedded.supervisor import Happened
from services.kernel.connection import Connection
from services.kernel.provision import provision
from services.kernel.registry_log import in_force
from services.kernel.settings import Settings, load


def up(
    data: session.Data = session.HERE,
    port: Annotated[int | None, typer.Option(help="Kafka's port; absent: the last one, or a free one.")] = None,
    secure: Annotated[
        bool,
        typer.Option("--secure", help="A new data directory: users, TLS and an access list, from a CA of its own."),
    ] = False,
    as_json: session.Json = False,
) -> None:
    """Run a Kafka and every service until Ctrl-C. What dies is started again.

    With --secure each service is a Kafka user of its own (SCRAM-SHA-512 over TLS) that may do what its row says, and
    the door speaks HTTPS. A data directory stays what it was made as; it keeps its users and its authority.

    Example: herald up --data /var/tmp/herald --secure
    """
    settings = load()
    kafka = stack.use_kafka(settings, data, session.progress, port, secure=secure)
    servers = kafka.settings.bootstrap_servers
    session.say(as_json, f"Kafka listens on {servers}", what="listening", name="kafka", detail=servers)
    try:
        asyncio.run(_run(settings, data, kafka, as_json))
    finally:
        kafka.stop()
    session.say(as_json, "everything is stopped", what="stopped", name="herald", detail="")


async def _run(settings: Settings, data: Path, kafka: stack.Kafka, as_json: bool) -> None:
    stop = asyncio.Event()
    waiting = asyncio.create_task(stack.until_signal(stop))
    connection = Connection(kafka.settings)
    registry = await in_force(connection)
    made = await provision(connection, settings.partitions, registry)
    if made:
        session.note(f"made {len(made)} topics")
    own: dict[str, dict[str, str]] = {"door": {}, "watchdog": {}}
    if kafka.secured is not None:
        from services.cli.service_users import environments  # noqa: PLC0415 - keeps other commands quick

        own = await asyncio.to_thread(environments, connection, registry, kafka.secured, data, "watchdog", "audit")
        audit = own.pop("audit")  # no process of its own: the watchdog runs it, as another user
        for part in ("USERNAME", "PASSWORD_FILE"):
            own["watchdog"][f"HERALD_WATCHDOG__AUDIT_{part}"] = audit[f"HERALD_KAFKA__SASL_{part}"]

    def show(happened: Happened) -> None:
        line = f"{happened.name} {happened.what}: {happened.detail}"
        session.say(as_json, line, what=happened.what, name=happened.name, detail=happened.detail)

    door = {"HERALD_DOOR__PORT": str(settings.door.port or free())}
    if settings.door.tls_certfile is not None:
        door["HERALD_DOOR__TLS_CERTFILE"] = str(settings.door.tls_certfile)
    for name in ("door", "deliveries"):  # whose messages carry links to the door
        own[name] = own.get(name, {}) | door
    services = stack.supervisor(data, connection.settings.bootstrap_servers, show, {}, own)
    await services.start()
    targets.show(data, services.ports())
    try:
        await stack.wait_ready(services)
        scheme = "https" if "HERALD_DOOR__TLS_CERTFILE" in own["door"] else "http"
        where = f"{scheme}://{settings.door.host}:{door['HERALD_DOOR__PORT']}"
        session.say(
            as_json,
            f"the door listens on {where}; operators: {where}/console",
            what="listening",
            name="door",
            detail=where,
        )
        if kafka.secured is not None:
            cafile = str(kafka.secured.cafile)
            session.say(
                as_json, f"clients trust the authority in {cafile}", what="authority", name="tls", detail=cafile
            )
        hint = "" if registry.version else "; no registry yet: `herald registry apply deploy/registry.yaml`"
        session.say(as_json, f"ready, press Ctrl-C to stop{hint}", what="ready", name="herald", detail=_now())
        keeping = asyncio.create_task(_keep_alive(kafka.broker, as_json)) if kafka.broker and kafka.ours else None
        await waiting
        if keeping is not None:
            keeping.cancel()
    finally:
        targets.hide(data)
        await services.stop()


async def _keep_alive(broker: Broker, as_json: bool) -> None:
    """Starts the broker again when it dies. The services wait for it by themselves."""
    while True:
        await asyncio.sleep(1)
        if broker.status() is not None:
            continue
        session.say(as_json, broker.last_words(), what="died", name="kafka", detail=broker.last_words())
        try:
            # In this thread: the broker is tied to the life of the thread that starts it.
            running = broker.start(session.progress, owned=True)
        except EmbeddedError as error:
            session.say(as_json, str(error), what="died", name="kafka", detail=str(error))
            await asyncio.sleep(10)
        else:
            where = running.bootstrap_servers
            session.say(as_json, f"Kafka listens on {where} again", what="listening", name="kafka", detail=where)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
