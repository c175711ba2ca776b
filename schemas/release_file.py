"""A release as a file, YAML or JSON, in the one schema of the event."""

import json

from pydantic import ValidationError

from schemas.explain import explain
from schemas.notice import Refused
from schemas.release import Release
from schemas.values import MAX_EVENT_BYTES
from schemas.yaml_file import FileError, read, with_lines


def load(text: str) -> Release:
    """The release that a file states. Raises FileError naming each field, rule and line."""
    if len(text.encode(errors="replace")) > MAX_EVENT_BYTES:
        raise FileError((Refused(code="too_large", message=f"must be at most {MAX_EVENT_BYTES} bytes"),))
    plain, lines = read(text)
    if not isinstance(plain, dict):
        raise FileError((Refused(code="invalid", message="must hold a release: `reference:`, `model:`, …"),))
    try:
        return Release.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        raise FileError(with_lines(explain(error, Release), lines)) from None
