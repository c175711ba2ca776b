"""Letters for tests: alerts about releases whose every text can be chosen."""

from datetime import UTC, datetime, timedelta

from schemas.alert import AlertIssued, AlertWindow, Answer, Content
from schemas.delivery import NoticeRequested
from schemas.envelope import derived_id
from schemas.release import Access, Model
from schemas.values import AlertKind, Tlp
from services.deliveries.letter import Letter

WHEN = datetime(2027, 3, 1, 15, tzinfo=UTC)
RELEASED = WHEN + timedelta(days=30)
LINK = "https://herald.example/a/dG9rZW4_b2YtYS1saW5r"


def alert(
    number: int = 1,
    *,
    kind: AlertKind = "opened",
    tlp: Tlp = "TLP:AMBER+STRICT",
    exercise: bool = False,
    text: str = "Halo 4 of Aurora",
    answer: bool = True,
) -> AlertIssued:
    """An alert with `text` wherever a lab can write, and where the contract would let it write nothing like that."""
    answers = tuple(
        Answer(tier=tier, told_at=WHEN, due_at=WHEN + timedelta(hours=each), passed_at=WHEN + timedelta(days=2))
        for tier, each in (("watch", 4), ("lead", 8))
    )
    return AlertIssued(
        alert_id=derived_id("alert", str(number)),
        release_id=derived_id("release", str(number)),
        agency="cisa",
        sequence=number,
        kind=kind,
        life=1,
        revision=1,
        tlp=tlp,
        exercise=exercise,
        why="listed",
        asks="received" if answer else None,
        answer_by=answers if answer else (),
        tier="watch" if answer else None,
        happened_at=WHEN,
        issued_at=WHEN,
        registry_version=1,
        content=Content.model_construct(
            lab=text,
            reference=text,
            model=Model.model_construct(name=text, version=text, summary=text, card_url=text),
            capabilities=(text,),
            trusted_partner_release_at=RELEASED,
            access=Access.model_construct(how=text, contact=text),
            handling=text,
            window=AlertWindow(status="open", opens_at=WHEN, closes_at=RELEASED),
        ),
    )


def letter(*alerts: AlertIssued, at: datetime = WHEN, links: bool = True) -> Letter:
    """One or several alerts to an endpoint, each with its link."""
    told = alerts or (alert(),)
    return Letter(
        letter_id=told[0].alert_id if len(told) == 1 else derived_id("digest", *(each.alert_id for each in told)),
        agency="cisa",
        agency_name="Agency _of_ *names* <script>",
        time_zone="America/New_York",
        endpoint="desk",
        written_at=at,
        alerts=told,
        links={each.alert_id: f"{LINK}{each.sequence}" for each in told} if links else {},
    )


def notice(what: str = "test") -> Letter:
    """A letter about an endpoint."""
    asked = NoticeRequested(
        agency="cisa",
        endpoint="desk",
        notice_id=derived_id("notice"),
        notice="test" if what == "test" else "disabled",
        about="desk",
        requested_at=WHEN,
    )
    return Letter(derived_id("notice"), "cisa", "CISA", "Europe/Berlin", "desk", WHEN, notice=asked)
