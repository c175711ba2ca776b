"""The `herald` command.

Exit codes: 0 done, 1 failed, 2 usage or settings, 3 refused, 4 no answer in time, 130 Ctrl-C.
"""

import logging
import os
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import structlog
import typer

from services.cli import (
    ack,
    alerts,
    announce,
    audit,
    backup,
    credentials,
    dead_letters,
    deliveries,
    disclosures,
    drill,
    export,
    kafka,
    links,
    manifests,
    offboard,
    provision,
    read_model,
    receipts,
    registry,
    run,
    tokens,
    trace,
    up,
    windows,
)
from services.cli.demo import command as demo
from services.kernel.observe import quiet_client

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Herald carries a lab's early-access announcements to the agencies they concern. Voluntary: it gates nothing.",
)
app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("run")(run.run)
app.add_typer(kafka.app, name="kafka")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
registry.app.command("manifests")(manifests.manifests)
app.add_typer(registry.app, name="registry")
app.command("provision")(provision.provision)
app.add_typer(credentials.app, name="credentials")
app.command("offboard")(offboard.offboard)
app.command("announce")(announce.announce)
app.command("withdraw")(announce.withdraw)
app.command("alerts")(alerts.alerts)
app.command("ack")(ack.ack)
app.command("windows")(windows.windows)
app.command("receipts")(receipts.receipts)
app.command("disclosures")(disclosures.disclosures)
app.command("audit")(audit.audit)
app.command("export")(export.export)
app.command("trace")(trace.trace)
app.add_typer(deliveries.app, name="deliveries")
app.command("drill")(drill.drill)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(tokens.app, name="tokens")
app.add_typer(links.app, name="links")
app.add_typer(read_model.app, name="read-model")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"herald {version('herald-early-access')}")
        raise typer.Exit


@app.callback()
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
        app()
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
        case "AccessError" | "NotSecured" | "AuditError" | "NothingToAudit":
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
