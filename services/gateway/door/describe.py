"""Writes `schemas/openapi.yaml`, or with `--check` compares: `python -m services.gateway.door.describe`."""

import sys
from pathlib import Path

import yaml

from services.gateway.door.app import routes

OPENAPI = Path(__file__).resolve().parents[3] / "schemas" / "openapi.yaml"
_HEAD = "# The HTTP door. Generated from services/gateway/door: `make schemas`.\n"


def described() -> str:
    """The description of every route."""
    return _HEAD + yaml.safe_dump(routes().openapi(), sort_keys=False, width=120, allow_unicode=True)


def main() -> None:
    """Writes or compares it."""
    if "--check" in sys.argv[1:]:
        if not OPENAPI.exists() or OPENAPI.read_text() != described():
            sys.exit(f"{OPENAPI} differs, run `make schemas`")
        return
    OPENAPI.write_text(described())


if __name__ == "__main__":
    main()
