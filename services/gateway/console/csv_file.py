"""Tables for spreadsheets. Source: RFC 4180; OWASP, CSV injection."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import Request, Response

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_file(request: Request, name: str, columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> Response:
    """A download."""
    request.state.headers["Content-Disposition"] = f'attachment; filename="herald-{name}.csv"'
    return Response(written(columns, lines), media_type="text/csv; charset=utf-8")


def written(columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> str:
    """The text. What a spreadsheet would take for a formula has an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for line in lines:
        writer.writerow([plain(line.get(name)) for name in columns])
    return out.getvalue()


def plain(value: Any) -> str:
    """A cell that is text, whatever it begins with."""
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text
