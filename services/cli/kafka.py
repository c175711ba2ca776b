"""`herald kafka start | stop | status`: the embedded Kafka of a data directory."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.embedded.broker import Broker, Running

app = typer.Typer(no_args_is_help=True, help="The embedded Kafka: a real broker in a data directory of its own.")

Data = Annotated[Path, typer.Option("--data", envvar="HERALD_DATA", help="Data directory.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def _progress(line: str) -> None:
    print(f"{line} …", file=sys.stderr)


def _print(as_json: bool, line: str, **fields: object) -> None:
    print(json.dumps(fields) if as_json else line)


@app.command()
def start(
    data: Data = Path(".herald"),
    port: Annotated[int | None, typer.Option(help="Port to listen on; absent: the last one, or a free one.")] = None,
    secure: Annotated[
        bool,
        typer.Option("--secure", help="A new data directory's clients must authenticate, and may do what ACLs say."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Start the broker and leave it running.

    With --secure it asks who is there (SCRAM-SHA-512 over TLS). Its one super user is `admin`, with a password in a
    file of the data directory; its certificate is of an authority made there. A directory stays what it was made as.

    Example: herald kafka start --data /var/tmp/herald --port 9092
    """
    broker = Broker(data, secure=secure)
    running = broker.start(_progress, port)
    _print(as_json, _line(broker, running), **_fields(broker, running))


@app.command()
def stop(data: Data = Path(".herald"), as_json: Json = False) -> None:
    """Stop the broker; its data stays.

    Example: herald kafka stop
    """
    stopped = Broker(data).stop()
    _print(as_json, "Kafka is stopped" if stopped else "no Kafka was running", stopped=stopped)


@app.command()
def status(data: Data = Path(".herald"), as_json: Json = False) -> None:
    """Say whether the broker runs: exit code 0 when it does, 3 when not.

    Example: herald kafka status --json
    """
    broker = Broker(data)
    running = broker.status()
    if running is None:
        _print(as_json, f"no Kafka runs on {broker.folder}", running=False)
        raise typer.Exit(3)
    _print(as_json, _line(broker, running), running=True, **_fields(broker, running))


def _line(broker: Broker, running: Running) -> str:
    line = f"Kafka listens on {running.bootstrap_servers} (pid {running.pid}, log {broker.log})"
    if not broker.is_secure:
        return line
    return (
        f"{line}; the password of admin is in {broker.admin_password_file}, the authority to trust in {broker.cafile}"
    )


def _fields(broker: Broker, running: Running) -> dict[str, object]:
    found = asdict(running) | {"bootstrap_servers": running.bootstrap_servers, "log": str(broker.log)}
    secured = {"admin_password_file": str(broker.admin_password_file), "cafile": str(broker.cafile)}
    return found | (secured if broker.is_secure else {})
