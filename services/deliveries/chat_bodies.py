"""What each chat's incoming webhook takes as a message, with the markup of each made harmless. Pure.

Sources: docs.slack.dev (Formatting message text), developers.mattermost.com (Incoming webhooks), adaptivecards.io
(RichTextBlock, whose text runs know no markup), developers.google.com/workspace/chat (Format messages), docs.ntfy.sh
(Publish as JSON).
"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from schemas.alert import VOLUNTARY
from schemas.endpoint import ChatChannel
from services.deliveries.letter import Letter
from services.deliveries.wording import about, facts, headline, told

Section = tuple[list[str], str | None]
"""Lines that belong together, and the link below them."""

_LIMITS: dict[ChatChannel, int] = {
    "slack": 30_000,  # it cuts at 40,000 characters
    "mattermost": 12_000,  # it takes 16,383 characters
    "teams": 8_000,  # a card may have 28 KB as JSON
    "google-chat": 24_000,  # it takes 32,000 bytes
    "ntfy": 3_500,  # from 4,096 bytes on it makes a file of it
}
"""Bytes of text that surely go into one message."""

_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~<>@:-])")
_GOOGLE = str.maketrans(dict.fromkeys("*_~`<>", " "))


def body(channel: ChatChannel, letter: Letter, topic: str = "") -> dict[str, Any]:
    """The message as JSON; `topic` is ntfy's."""
    sections = list(_fitting(list(_sections(letter)), _LIMITS[channel]))
    match channel:
        case "slack":
            text = _joined(sections, str).translate(_SLACK)
            return {"text": text, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
        case "mattermost":
            return {"text": _joined(sections, lambda line: _MARKDOWN.sub(r"\\\1", line))}
        case "google-chat":
            return {"text": _joined(sections, lambda line: line.translate(_GOOGLE))}
        case "teams":
            return _card(sections)
        case "ntfy":
            return _notification(topic, letter, sections)


def _sections(letter: Letter) -> Iterator[Section]:
    if letter.notice is not None:
        yield [told(letter), about(letter)], None
        return
    if len(letter.alerts) > 1:
        yield [f"{len(letter.alerts)} alerts have waited"], None
    for alert in letter.alerts:
        yield [headline(alert), *facts(alert, letter.time_zone)], letter.links.get(alert.alert_id)
    yield [VOLUNTARY], None


def _fitting(sections: list[Section], limit: int) -> Iterator[Section]:
    """As many as fit; the last one always does."""
    *some, last = sections
    left = limit
    for place, (lines, link) in enumerate(some):
        left -= len("\n".join([*lines, link or ""]).encode()) + 40
        if left < 0:
            yield [f"… and {len(some) - place} more: they are on your agency's topic, and at Herald's door"], None
            break
        yield lines, link
    yield last


def _joined(sections: list[Section], harmless: Callable[[str], str]) -> str:
    return "\n\n".join(
        "\n".join([*map(harmless, lines), *([f"Read it and answer: {_url(link)}"] if link else [])])
        for lines, link in sections
    )


def _url(link: str) -> str:
    """A link that ends where it ends in every markup."""
    return quote(link, safe="/:?#[]@!$&+,;=%~.-_")


def _card(sections: list[Section]) -> dict[str, Any]:
    """Teams: the Workflows' webhook posts an adaptive card."""
    blocks: list[dict[str, Any]] = []
    for lines, link in sections:
        for place, line in enumerate(lines):
            weight = {"weight": "Bolder"} if place == 0 and len(lines) > 1 else {}
            blocks.append({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line, **weight}]})
        if link:
            opens = {"type": "Action.OpenUrl", "title": "Read it and answer", "url": _url(link)}
            blocks.append({"type": "ActionSet", "actions": [opens]})
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _notification(topic: str, letter: Letter, sections: list[Section]) -> dict[str, Any]:
    """ntfy shows plain text unless it is told that it is Markdown. The first line is the title."""
    (title, *lines), link = sections[0]
    message = _joined([(lines, link), *sections[1:]], str).strip()
    opened: dict[str, Any] = {"click": _url(link)} if link else {}
    urgent = any(alert.chase == "escalation" for alert in letter.alerts)
    asked = any(alert.asks for alert in letter.alerts)
    priority = 5 if urgent else 4 if asked else 3
    return {"topic": topic, "title": title, "message": message, "priority": priority, **opened}
