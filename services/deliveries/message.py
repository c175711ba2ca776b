"""The mail that a letter becomes: a pointer, with nothing in it that a lab has written. Pure.

Subject and body carry the TLP label (FIRST, TLP 2.0); the id is the alert's, so that whoever gets it twice sees one;
alerts of a release hang on a root of their own (RFC 5322 3.6.4), and no machine answers (RFC 3834 5).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from schemas.alert import VOLUNTARY, AlertIssued
from schemas.values import AlertKind, Tlp
from services.deliveries.letter import Letter
from services.deliveries.wording import answer_by, news, zone

# Only ASCII goes out, so that each server can take it. Lines may be as long as RFC 5322 lets them be (2.1.1): the
# standard library would encode a message id or an address that is longer than a folded line.
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=998)
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STRICTEST_LAST: tuple[Tlp, ...] = get_args(Tlp)


@dataclass(frozen=True, slots=True)
class _Item:
    """What the mail says of one alert."""

    alert_id: str
    release: str
    kind: AlertKind
    headline: str
    tlp: Tlp
    exercise: bool
    asks: bool
    answer_by: datetime | None
    link: str | None


def written(letter: Letter, to: str, sender: str) -> EmailMessage:
    """The mail from `sender` to one address; the same letter becomes the same mail, byte for byte."""
    domain = sender.rpartition("@")[2]
    items = [_item(alert, letter.links.get(alert.alert_id)) for alert in letter.alerts]
    template, subject = _kind(letter, items)
    message = EmailMessage(_POLICY)
    message["From"] = f"Herald <{sender}>"
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = letter.written_at
    message["Message-ID"] = f"<{items[0].alert_id if len(items) == 1 else letter.letter_id}@{domain}>"
    releases = {alert.release_id for alert in letter.alerts}
    if len(releases) == 1:
        root = f"<release.{releases.pop()}@{domain}>"
        message["In-Reply-To"] = root
        message["References"] = root
    message["Auto-Submitted"] = "auto-generated"
    for item in items:
        message["X-Herald-Alert-Id"] = item.alert_id
    shown: dict[str, Any] = {
        "subject": subject,
        "items": items,
        "letter": letter,
        "tlp": _strictest(items),
        "voluntary": VOLUNTARY,
        "zone": zone(letter.time_zone),
    }
    message.set_content(_TEMPLATES.get_template(f"{template}.txt").render(shown))
    message.add_alternative(_TEMPLATES.get_template(f"{template}.html").render(shown), subtype="html")
    # The library would draw it; drawn from the letter's id, a repeat is the same.
    message.set_boundary(f"=_{letter.letter_id}")
    return message


def _kind(letter: Letter, items: list[_Item]) -> tuple[str, str]:
    """The template's name and the subject."""
    if letter.notice is not None:
        about = f"{letter.agency}/{letter.notice.about}"
        return letter.notice.notice, {
            "test": f"Herald: test of {about}",
            "disabled": f"Herald: {about} is disabled",
        }[letter.notice.notice]
    if len(items) == 1:
        (item,) = items
        mark = "EXERCISE " if item.exercise else ""
        return "alert", f"{mark}[{item.tlp}] {item.headline} (release {item.release})"
    drills = sum(item.exercise for item in items)
    mark = "EXERCISE " if drills == len(items) else ""
    some = f", {drills} of them EXERCISE" if 0 < drills < len(items) else ""
    return "digest", f"{mark}[{_strictest(items)}] {len(items)} alerts that have waited{some}"


def _item(alert: AlertIssued, link: str | None) -> _Item:
    return _Item(
        alert_id=alert.alert_id,
        release=alert.release_id[:8],
        kind=alert.kind,
        headline=news(alert),
        tlp=alert.tlp,
        exercise=alert.exercise,
        asks=alert.asks is not None,
        answer_by=answer_by(alert),
        link=link,
    )


def _strictest(items: list[_Item]) -> Tlp:
    return max((item.tlp for item in items), key=_STRICTEST_LAST.index, default="TLP:CLEAR")


def _times(instant: datetime, there: ZoneInfo | None) -> Iterator[str]:
    """An instant for people: in UTC, then in the agency's time zone where that shows another time."""
    utc = instant.astimezone(UTC)
    yield f"{utc:%A} {utc.day} {utc:%B %Y, %H:%M} UTC"
    local = utc.astimezone(there) if there else utc
    if local.utcoffset() != utc.utcoffset():
        yield f"{local:%A} {local.day} {local:%B %Y, %H:%M %Z} ({there})"


_TEMPLATES.filters["times"] = _times
