"""The targets of Prometheus: which processes of this Herald there are, and where each serves its metrics."""

import json
from collections.abc import Mapping
from pathlib import Path

from services.embedded.ports import LOOPBACK

FILE = "targets.json"
"""In the data directory, as `file_sd_configs` takes it."""


def show(data: Path, ports: Mapping[str, int]) -> None:
    """Writes them, as a whole or not at all. A kill leaves them there: then Prometheus says that they are down."""
    groups = [{"targets": [f"{LOOPBACK}:{port}"], "labels": {"service": name}} for name, port in sorted(ports.items())]
    fresh = data / f"{FILE}.new"
    fresh.write_text(json.dumps(groups, indent=1) + "\n")
    fresh.replace(data / FILE)


def hide(data: Path) -> None:
    """All is stopped on purpose: nothing is missing."""
    (data / FILE).unlink(missing_ok=True)
