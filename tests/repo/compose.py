"""Reads docker-compose.yml, with what the image adds to its services."""

import re
import sys
from typing import Any

import yaml

from schemas.topics import SERVICES
from tests.repo import dockerfile
from tests.repo.dockerfile import ROOT

FILE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
ALL: dict[str, dict[str, Any]] = FILE["services"]
IMAGE: str = ALL["provision"]["image"]
OURS = (*SERVICES, "watchdog", "door", "provision")


def filled(text: str) -> str:
    """A value with what stands for a variable that is not set."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)


def environment(service: str) -> dict[str, str]:
    """What a service of ours is started with: the image's, and its own."""
    own = {name: filled(value) for name, value in ALL[service].get("environment", {}).items()}
    return {name: value for name, value in (dockerfile.environment() | own).items() if name.startswith("HERALD_")}


def command(service: str) -> list[str]:
    """How a service of ours is started, by this checkout."""
    image = next(each.words for each in dockerfile.stages()[-1] if each.name == "ENTRYPOINT")
    program, *arguments = ALL[service].get("entrypoint", image) + ALL[service].get("command", [])
    return [sys.executable, *({"herald": ["-m", "services.cli.main"], "python": []}[program]), *arguments]
