"""What a server's answer to a POST means, and what people are told of it. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from urllib.parse import unquote, urlsplit

from schemas.delivery import Failure

MAX_WAIT = 86400.0
"""Seconds: no `Retry-After` puts a delivery off for longer."""

LINE = 200
_EXCERPT, _WINDOW, _SHORTEST = 100, 12, 4
_TEXTS = re.compile(r"^(text/plain|application/([a-z.+-]+\+)?json)\b", re.IGNORECASE)

_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")

Judge = Callable[[int, bytes], Failure | None]
"""Says of a status and the beginning of a body whether the message was taken (None)."""


def by_status(status: int, body: bytes = b"") -> Failure | None:
    """RFC 9110 15; 2xx alone is success, as Standard Webhooks has it. The body is not looked at."""
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return "redirected"
    if status == 429:
        return "throttled"
    if status == 410:
        return "gone"
    if status in {408, 425} or 500 <= status < 600:
        return "server-error"
    return "refused" if 400 <= status < 500 else "protocol"


def retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds that `Retry-After` asks for (RFC 9110 10.2.3), at most MAX_WAIT; None where it asks for nothing."""
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return float(text) if len(text) < 6 and float(text) < MAX_WAIT else MAX_WAIT
    try:
        date = parsedate_to_datetime(text)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(seconds.total_seconds(), MAX_WAIT) if seconds.total_seconds() > 0 else None


def line(text: str) -> str:
    """One printable line of at most LINE characters; nothing in it controls a terminal or turns text around."""
    shown = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return shown if len(shown) <= LINE else shown[: LINE - 1] + "…"


def said(status: int, content_type: str, body: bytes, private: Iterable[str]) -> str:
    """The status and a little of the body: only of plain text or JSON, and only if it repeats nothing private.

    `private` is what was sent, or where to: a server's error page may echo it, and this line goes on to others.
    """
    text = line(body[: 8 * _EXCERPT].decode(errors="ignore"))
    if not text or not _TEXTS.match(content_type) or "://" in text or _echoes(text, private):
        return f"HTTP {status}"
    return line(f"HTTP {status}: {text[:_EXCERPT]}")


def _echoes(text: str, private: Iterable[str]) -> bool:
    """Whether a part of something private stands in it, however it is quoted or split."""
    heard = _squeezed(text)
    windows = {heard[i : i + _WINDOW] for i in range(len(heard) - _WINDOW + 1)}
    for each in map(_squeezed, private):
        if len(each) >= _SHORTEST and (each in heard or any(window in each for window in windows)):
            return True
    return False


def _squeezed(text: str) -> str:
    """Its letters and digits alone, with JSON's, HTML's and addresses' ways to write them undone."""
    plain = _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), unescape(unquote(text)))
    return "".join(each for each in plain.casefold() if each.isalnum())


def parts(url: str) -> Iterator[str]:
    """What is private in an address: its path and its query, as they are and as a server may show them."""
    split = urlsplit(url)
    yield from (split.path, split.query, unquote(split.path), unquote(split.query))
    yield from (unquote(each) for each in split.path.split("/"))
    yield from (unquote(each.partition("=")[2]) for each in split.query.split("&"))
