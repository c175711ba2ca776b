"""Pages for people: written by the door, whole without a script, and strict about what a browser may do with them."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE = Path(__file__).parent / "pages"
_STYLE = (_HERE / "page.css").read_bytes()
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Robots-Tag": "noindex",
}

router = APIRouter()


def page(request: Request, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page from a template; everything that is shown is escaped."""
    request.state.headers.update(_HEADERS)
    return HTMLResponse(_TEMPLATES.get_template(template).render(**shown), status)


def at(instant: datetime) -> str:
    """An instant for people, in UTC."""
    return f"{instant:%A} {instant.day} {instant:%B %Y, %H:%M} UTC"


def there(instant: datetime, time_zone: str) -> str:
    """The same in the reader's time zone; empty where that is no other, or not known."""
    try:
        local = instant.astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""
    return "" if local.utcoffset() == instant.utcoffset() else f"{local:%A %H:%M %Z}"


_TEMPLATES.filters |= {"at": at, "there": there}


@router.get("/pages/page.css", include_in_schema=False)
async def style(request: Request) -> Response:
    """How pages look."""
    request.state.headers["Cache-Control"] = "public, max-age=3600"
    return Response(_STYLE, media_type="text/css")
