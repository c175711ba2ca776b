"""What every page of the operators' shares: templates, headers, navigation, and how times are written."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.gateway.console.entrance import VISIT, keep, sessions
from services.gateway.console.sessions import Visitor
from services.gateway.door.identity import PAGE_PATH
from services.gateway.door.problem import Problem

_HERE = Path(__file__).parent
STATIC = {
    name: ((_HERE / "static" / name).read_bytes(), kind)
    for name, kind in (("console.css", "text/css"), ("console.js", "text/javascript"))
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Robots-Tag": "noindex",
}
THEME = "herald_theme"
THEMES = ("auto", "light", "dark")
_ALWAYS = 365 * 24 * 3600
NAVIGATION = (
    ("", "Windows"),
    ("/deliveries", "Deliveries"),
    ("/dead-letters", "Dead letters"),
    ("/registry", "Registry"),
    ("/drills", "Drills"),
    ("/shards", "Shards"),
)


def render(request: Request, template: str, status: int = 200, **shown: Any) -> Response:
    """A page; everything that is shown is escaped."""
    request.state.headers.update(_HEADERS)
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    visit = request.cookies.get(VISIT) or secrets.token_hex(16)
    chosen = request.cookies.get(THEME)
    theme = chosen if chosen in THEMES else "auto"
    shared = {
        "base": PAGE_PATH,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "path": request.url.path,
        "visitor": visitor,
        "seal": sessions(request).seal(visitor.session_id if visitor else visit),
        "theme": theme,
        "themes": THEMES,
        "navigation": NAVIGATION,
        "now": request.app.state.clock.now(),
        "version": _VERSION,
        "login_service": request.app.state.console.login_service.issuer,
    }
    response = HTMLResponse(_TEMPLATES.get_template(template).render(**(shared | shown)), status)
    if visitor is None and VISIT not in request.cookies:
        keep(response, request, VISIT, visit, 24 * 3600)
    return response


def keep_theme(response: Response, request: Request, theme: str) -> None:
    """Remembers how somebody wants the page to look."""
    keep(response, request, THEME, theme if theme in THEMES else "auto", _ALWAYS)


async def on_problem(request: Request, problem: Problem) -> Response:
    """A refusal as a page."""
    request.state.headers.update(problem.headers)
    return render(request, "refused.html", problem.status, problem=problem)


def instant(value: datetime | str) -> datetime:
    """An instant, of events as text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def when(value: datetime | str) -> str:
    """An instant for people, in UTC: `Tue 2 Mar 2027 03:59`."""
    at = instant(value).astimezone(UTC)
    return f"{at:%a} {at.day} {at:%b %Y %H:%M}"


def short(value: datetime | str) -> str:
    """The same of a day that is not far: `Tue 2 Mar 03:59`."""
    at = instant(value).astimezone(UTC)
    return f"{at:%a} {at.day} {at:%b %H:%M}"


def clock_time(value: datetime | str) -> str:
    """The same to the second, for a log of events."""
    return f"{instant(value).astimezone(UTC):%H:%M:%S}"


def span(value: timedelta) -> str:
    """How long, in the two largest units: `3 d 4 h`, `12 min`."""
    seconds = int(abs(value.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    days, rest = divmod(seconds, 86400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    parts = [(days, "d"), (hours, "h"), (minutes if not days else 0, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def away(value: datetime | str, now: datetime) -> str:
    """How far from now: `in 3 h 20 min`, `2 d ago`."""
    distance = instant(value) - now
    return f"in {span(distance)}" if distance > timedelta(0) else f"{span(distance)} ago"


def local_time(value: datetime | str, time_zone: str) -> str:
    """An instant where somebody reads it, with the day where it is another there; empty where the zone is not known."""
    try:
        there = instant(value).astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""
    return f"{there:%H:%M %Z}" if there.date() == instant(value).astimezone(UTC).date() else f"{there:%a %H:%M %Z}"


def iso(value: datetime | str) -> str:
    """An instant for machines."""
    return instant(value).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_VERSION = hashlib.sha256(b"".join(content for content, _ in STATIC.values())).hexdigest()[:12]
_TEMPLATES.filters |= {"when": when, "short": short, "away": away, "iso": iso, "clock_time": clock_time, "span": span}
_TEMPLATES.globals |= {"local_time": local_time}
