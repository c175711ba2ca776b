"""Reads topics as a person wants them: from the beginning or a point in time, to the end or on and on."""

import json
from datetime import datetime, timedelta
from typing import Annotated

import typer

from schemas.values import Duration, Instant, Strict
from services.kernel.records import records
from services.kernel.settings import SettingsError

__all__ = ["Follow", "Since", "point", "records"]

Since = Annotated[str | None, typer.Option(help="From this instant on, or so long ago: 2027-03-01T00:00:00Z, P1D.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")]


class _When(Strict):
    at: Instant | Duration


def point(since: str | None, now: datetime) -> datetime | None:
    """The instant that `--since` means. Raises SettingsError naming what would be right."""
    if since is None:
        return None
    try:
        found = _When.model_validate_json(json.dumps({"at": since})).at
    except ValueError:
        raise SettingsError(f"--since {since}: write a time with a zone or a duration, such as P1D or PT4H") from None
    return now - found if isinstance(found, timedelta) else found
