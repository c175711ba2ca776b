"""Letters for tests: an alert, several, or a notice."""

from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.alert import AlertIssued, Answer
from schemas.delivery import Notice, NoticeRequested
from services.deliveries.letter import Letter

WRITTEN = datetime(2027, 3, 8, 14, 0, tzinfo=UTC)
DUE = datetime(2027, 3, 9, 14, 0, tzinfo=UTC)
RELEASE = "5b1d6b0e-7c1f-4c55-9a2e-0a3d7f4b9c10"
NOTICE = "0d9a54c1-33a7-4a5e-8f0b-5a7c1d2e3f40"


def link(alert_id: str) -> str:
    """As a deployment would make it, with a token of the usual length."""
    return f"https://herald.example.gov/acknowledge/{alert_id.replace('-', '') * 2}{'A' * 12}"


def alert(number: int = 1, **changed: Any) -> AlertIssued:
    """An alert that asks the tier `watch` for an answer."""
    said: dict[str, Any] = {
        "alert_id": f"2f6c1e9a-8d3b-4f0a-9c11-{number:012}",
        "release_id": RELEASE,
        "agency": "cisa",
        "sequence": number,
        "kind": "scheduled",
        "life": 1,
        "revision": 1,
        "tlp": "TLP:AMBER",
        "exercise": False,
        "why": "listed",
        "asks": "received",
        "chased": True,
        "answer_by": (
            Answer(tier="watch", told_at=WRITTEN, due_at=DUE, passed_at=DUE + timedelta(days=1)),
            Answer(
                tier="lead",
                told_at=DUE + timedelta(days=1),
                due_at=DUE + timedelta(days=2),
                passed_at=DUE + timedelta(days=3),
            ),
        ),
        "tier": "watch",
        "happened_at": WRITTEN,
        "issued_at": WRITTEN,
        "registry_version": 1,
    }
    return AlertIssued(**(said | changed))


def due(at: datetime, **changed: Any) -> AlertIssued:
    """An alert that is to be answered by then."""
    answer = Answer(tier="watch", told_at=at - timedelta(days=1), due_at=at, passed_at=at + timedelta(days=1))
    return alert(answer_by=(answer,), **changed)


def letter(*alerts: AlertIssued, **changed: Any) -> Letter:
    """A letter of these alerts, each with its link."""
    said: dict[str, Any] = {
        "letter_id": "7f3e2d1c-0b9a-4877-8655-443322110000",
        "agency": "cisa",
        "agency_name": "Cybersecurity Desk",
        "time_zone": "America/New_York",
        "endpoint": "desk",
        "written_at": WRITTEN,
        "alerts": alerts,
        "links": {each.alert_id: link(each.alert_id) for each in alerts},
    }
    return Letter(**(said | changed))


def notice(what: Notice, about: str) -> Letter:
    """A letter about an endpoint."""
    asked = NoticeRequested(
        agency="cisa", endpoint="desk", notice_id=NOTICE, notice=what, about=about, requested_at=WRITTEN
    )
    return letter(letter_id=NOTICE, notice=asked)
