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
from services.kernel.settings import KafkaSettings, Settings, SettingsError, load

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Data = Annotated[Path, typer.Option("--data", envvar="HERALD_DATA", help="Data directory of the embedded Kafka.")]

HERE = Path(".herald")


def settings() -> Settings:
    """The settings, with the embedded Kafka of the data directory where no other is named."""
    found = load()
    broker = Broker(found.data)
    if not found.kafka.bootstrap_servers and (running := broker.status()) is not None:
        return found.model_copy(update={"kafka": embedded(found.kafka, broker, running.bootstrap_servers)})
    return found


def embedded(kafka: KafkaSettings, broker: Broker, bootstrap_servers: str) -> KafkaSettings:
    """The settings for an embedded broker; where it asks who is there, as its administrator unless they name another.

    Who can read its password file owns the broker.
    """
    update: dict[str, Any] = {"bootstrap_servers": bootstrap_servers}
    if broker.is_secure:
        update |= {"security_protocol": "SASL_SSL", "ssl_cafile": broker.cafile}
        if not kafka.sasl_username:
            update |= {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": ADMIN}
            update |= {"sasl_password_file": broker.admin_password_file}
    return kafka.model_copy(update=update)


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
