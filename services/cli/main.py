"""The `herald` command.

Exit codes: 0 done, 1 failed, 2 usage or settings, 3 refused, 4 no answer in time, 130 Ctrl-C.
"""

import logging
import os
import sys
import traceback
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import structlog
import typer

from services.kernel.observe import quiet_client

COMMANDS = {
    "up": "up:up",
    "demo": "demo.command:demo",
    "run": "run:run",
    "kafka": "kafka:app",
    "backup": "backup:backup",
    "restore": "backup:restore",
    "registry": "registry:app",
    "provision": "provision:provision",
    "credentials": "credentials:app",
    "offboard": "offboard:offboard",
    "announce": "announce:announce",
    "withdraw": "announce:withdraw",
    "alerts": "alerts:alerts",
    "ack": "ack:ack",
    "windows": "windows:windows",
    "receipts": "receipts:receipts",
    "disclosures": "disclosures:disclosures",
    "audit": "audit:audit",
    "export": "export:export",
    "trace": "trace:trace",
    "deliveries": "deliveries:app",
    "drill": "drill:drill",
    "dead-letters": "dead_letters:app",
    "tokens": "tokens:app",
    "links": "links:app",
    "read-model": "read_model:app",
}
"""Where each stands: a module beside this one, and the function or the group in it."""


def command_line(word: str = "") -> typer.Typer:
    """All commands, or the one of that name: to import what all others need as well costs a quarter of a second."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
    app.callback()(_root)
    for name in [word] if word in COMMANDS else COMMANDS:
        module, _, attribute = COMMANDS[name].partition(":")
        found = getattr(import_module(f"services.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        print(f"herald {version('herald-early-access')}")
        raise typer.Exit


def _root(
    wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Herald carries a lab's early-access announcements to the agencies they concern. Voluntary: it gates nothing."""


def main() -> None:
    """Runs the command line; whatever goes wrong is one line and a documented exit code."""
    quiet_client()
    # What services log is not for whoever runs a command; `herald run` and `herald up` say what they show.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        command_line(next((word for word in sys.argv[1:] if not word.startswith("-")), ""))()
    except Exception as error:
        code, line = _explained(error)
        print(f"herald: {line}", file=sys.stderr)
        if os.environ.get("HERALD_LOG_LEVEL", "").lower() == "debug":
            traceback.print_exception(error)
        sys.exit(code)


def _explained(error: Exception) -> tuple[int, str]:
    name = type(error).__name__
    match name:
        case "SettingsError" | "FileError":
            return 2, str(error)
        case "EmbeddedError" | "StackError" | "ProvisionError" | "RegistryConflict" | "NotProvisioned":
            return 1, str(error)
        case "AccessError" | "NotSecured" | "AuditError" | "NothingToAudit" | "DatabaseAway":
            return 1, str(error)
        case "TopicAuthorizationFailedError" | "GroupAuthorizationFailedError" | "ClusterAuthorizationFailedError":
            return 1, f"Kafka refuses: this user may not: {error}"
        case "KafkaConnectionError":
            # The client says the same of a wrong password, and of a certificate that it does not trust.
            user, how = (os.environ.get(f"HERALD_KAFKA__{name}", "") for name in ("SASL_USERNAME", "SECURITY_PROTOCOL"))
            or_else = f"; or it does not take {user} and the password" if user else ""
            or_else += "; or no authority in HERALD_KAFKA__SSL_CAFILE signed its certificate" if "SSL" in how else ""
            return 1, f"cannot reach Kafka: {error}{or_else}"
        case "UnknownTopicOrPartitionError":
            return 1, "a topic is missing: `herald registry apply FILE` makes what the registry names"
        case "FileNotFoundError" | "IsADirectoryError" | "PermissionError":
            return 2, f"{getattr(error, 'filename', '')}: {getattr(error, 'strerror', error)}"
    return 1, f"{name}: {error} (HERALD_LOG_LEVEL=debug shows more)"


if __name__ == "__main__":
    main()
