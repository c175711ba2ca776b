"""Writes `schemas/openapi.yaml`, or with `--check` compares: `python -m services.gateway.door.describe`."""

from pathlib import Path

import yaml

from schemas.generated import settle
from services.gateway.door.app import routes
from services.gateway.door.problem import MEDIA_TYPE

OPENAPI = Path(__file__).resolve().parents[3] / "schemas" / "openapi.yaml"
_HEAD = "# The HTTP door. Generated from services/gateway/door: `make schemas`.\n"


def described() -> str:
    """The description of every route."""
    whole = routes().openapi()
    for path in whole["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                content = answer.get("content", {})
                if MEDIA_TYPE in content:  # FastAPI puts every model under the route's own media type
                    content[MEDIA_TYPE] = content.pop("application/json")
    return _HEAD + yaml.safe_dump(whole, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    settle({OPENAPI: described()})
