"""`herald run SERVICE`: one service in this process."""

from enum import StrEnum
from importlib import import_module
from typing import Annotated

import typer

from schemas.topics import SERVICES

ServiceName = StrEnum("ServiceName", {name.upper(): name for name in (*SERVICES, "watchdog")})  # type: ignore[misc]


def run(service: Annotated[ServiceName, typer.Argument(help="Which one.")]) -> None:
    """Run one service until a signal comes, with settings from the environment.

    Example: HERALD_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 herald run windows
    """
    app = import_module(f"services.{service.value}.app")
    if service.value == "watchdog":
        app.main()
        return
    from services.kernel.process import main  # noqa: PLC0415 - other commands start quicker without it

    main(app.SERVICE)
