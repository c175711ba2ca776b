"""What a participant of the secured demo has: where Herald is, and what proves who it is."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.cli.demo.scenario import Way

Hears = Callable[[dict[str, Any]], None]
"""Takes an alert or a receipt that came over a line."""

Meanwhile = Callable[[Coroutine[Any, Any, None]], None]
"""Runs something beside everything else."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where a participant finds Herald, and how it proves who it is: by a token at the door, or by a Kafka user.

    `prefix` stands before the names of its topics and groups.
    """

    way: Way
    address: str
    cafile: Path
    prefix: str
    user: str = ""
    secret: str = field(default="", repr=False)
