"""What every command starts from: settings, a Kafka to talk to, and one way to print."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from services.embedded.broker import Broker
from services.embedded.secured import ADMIN
from services.kernel.connection import Connection
from services.kernel.settings import Settings, SettingsError, load

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Data = Annotated[Path, typer.Option("--data", envvar="HERALD_DATA", help="Data directory of the embedded Kafka.")]

HERE = Path(".herald")


def settings() -> Settings:
    """The settings, with the embedded Kafka of the data directory where no other is named."""
    found = load()
    broker = Broker(found.data)
    if not found.kafka.bootstrap_servers and (running := broker.status()) is not None:
        update: dict[str, Any] = {"bootstrap_servers": running.bootstrap_servers}
        if broker.is_secure and not found.kafka.sasl_username:
            # Who can read that file owns the broker.
            update |= {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512"}
            update |= {"sasl_username": ADMIN, "sasl_password_file": broker.admin_password_file}
        found = found.model_copy(update={"kafka": found.kafka.model_copy(update=update)})
    return found


def connect(found: Settings) -> Connection:
    """The Kafka to talk to. Raises SettingsError when there is none."""
    if not found.kafka.bootstrap_servers:
        raise SettingsError(
            f"no Kafka runs on {found.data.absolute()}, and HERALD_KAFKA__BOOTSTRAP_SERVERS names no other: "
            "start one with `herald up` or `herald kafka start`"
        )
    return Connection(found.kafka)


def say(as_json: bool, line: str, **fields: Any) -> None:
    """One line for people, or the same as one JSON object."""
    print(json.dumps(fields, default=str) if as_json else line, flush=True)


def note(line: str) -> None:
    """One line beside the output: progress and warnings, on standard error."""
    print(line, file=sys.stderr, flush=True)


def progress(line: str) -> None:
    """Says what is being waited for."""
    note(f"{line} …")


def on_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and os.environ.get("CI") is None
