"""A mail points at an alert: when to answer and where, in both times, and nothing that a lab has written."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.alert import AlertIssued, AlertWindow, Content
from schemas.endpoint import MailAddress
from schemas.release import Access, Model
from schemas.values import AlertKind, Tlp
from services.deliveries.letter import Letter
from services.deliveries.message import written
from tests.deliveries.mail_letters import DUE, NOTICE, RELEASE, WRITTEN, alert, due, letter, link, notice

TO, SENDER = "desk@agency.example", "herald@relay.example"
ADDRESS = TypeAdapter(MailAddress)


def parsed(one: Letter, to: str = TO, sender: str = SENDER) -> EmailMessage:
    """The mail as the one who gets it reads it."""
    mail = message_from_bytes(written(one, to, sender).as_bytes(), policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


class _Shown(HTMLParser):
    """What stands in the page's body, where it leads, and what it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.hrefs: list[str] = []
        self.tags: set[str] = set()
        self.within_head = False
        self.fetches: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.within_head = tag == "head" or (self.within_head and tag != "body")
        self.hrefs += [value or "" for name, value in attributes if name == "href"]
        self.fetches += [value or "" for name, value in attributes if name in {"src", "background", "srcset"}]

    def handle_data(self, data: str) -> None:
        if not self.within_head:
            self.text.append(data)


def parts(mail: EmailMessage) -> tuple[str, _Shown]:
    """The text, and what the HTML shows."""
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert isinstance(plain, EmailMessage)
    assert isinstance(html, EmailMessage)
    shown = _Shown()
    shown.feed(html.get_content())
    return plain.get_content(), shown


def flat(text: str) -> str:
    return " ".join(text.split())


def both(mail: EmailMessage) -> list[str]:
    """The words of both parts, each on one line."""
    text, shown = parts(mail)
    return [flat(text), flat(" ".join(shown.text))]


def test_the_headers_say_who_when_which_alert_and_that_no_person_wrote_it() -> None:
    mail = parsed(letter(alert()))
    assert mail["From"] == f"Herald <{SENDER}>"
    assert mail["To"] == TO
    assert mail["Subject"] == "[TLP:AMBER] Early access is planned (release 5b1d6b0e)"
    assert mail["Date"].datetime == WRITTEN
    assert mail["Message-ID"] == f"<{alert().alert_id}@relay.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Herald-Alert-Id"] == alert().alert_id
    assert not mail.defects


def test_the_same_letter_is_the_same_mail_byte_for_byte() -> None:
    assert written(letter(alert()), TO, SENDER).as_bytes() == written(letter(alert()), TO, SENDER).as_bytes()


def test_alerts_of_one_release_are_a_thread_and_others_are_not() -> None:
    first, second = parsed(letter(alert(1))), parsed(letter(alert(2, kind="opened")))
    other = parsed(letter(alert(3, release_id=RELEASE.replace("5b1d", "6c2e"))))
    assert first["Message-ID"] != second["Message-ID"]
    for name in ("References", "In-Reply-To"):
        assert first[name] == second[name] == f"<release.{RELEASE}@relay.example>"
        assert other[name] != first[name]


def test_a_digest_of_one_release_stands_in_its_thread_and_one_of_several_in_none() -> None:
    assert parsed(letter(alert(1), alert(2)))["References"] == parsed(letter(alert(1)))["References"]
    assert parsed(letter(alert(1), alert(2, release_id=NOTICE)))["References"] is None


@pytest.mark.parametrize("kind", get_args(AlertKind))
def test_both_parts_say_kind_release_alert_deadline_and_link(kind: AlertKind) -> None:
    mail = parsed(letter(alert(kind=kind, tlp="TLP:RED")))
    for words in both(mail):
        for said in ("TLP:RED", kind, "5b1d6b0e", alert().alert_id, "9 March 2027, 14:00 UTC", link(alert().alert_id)):
            assert said in words
        assert "approves nothing" in words
    assert set(parts(mail)[1].hrefs) == {link(alert().alert_id)}


@pytest.mark.parametrize("tlp", get_args(Tlp))
def test_the_tlp_label_stands_in_the_subject_and_before_all_else(tlp: Tlp) -> None:
    mail = parsed(letter(alert(tlp=tlp)))
    text, shown = parts(mail)
    assert f"[{tlp}]" in mail["Subject"]
    assert text.startswith(tlp)
    assert flat(" ".join(shown.text)).startswith(tlp)


def test_an_exercise_says_so_in_subject_and_body_and_nothing_else_does() -> None:
    drill, real = parsed(letter(alert(exercise=True))), parsed(letter(alert()))
    for words in (drill["Subject"], *both(drill)):
        assert "EXERCISE" in words
    for words in (real["Subject"], *both(real)):
        assert "EXERCISE" not in words


@pytest.mark.parametrize(
    ("drills", "subject"),
    [
        ((True, True), "EXERCISE [TLP:RED] 2 alerts that have waited"),
        ((False, True), "[TLP:RED] 2 alerts that have waited, 1 of them EXERCISE"),
        ((False, False), "[TLP:RED] 2 alerts that have waited"),
    ],
)
def test_a_digest_has_the_strictest_label_each_alert_and_marks_what_is_an_exercise(
    drills: tuple[bool, bool], subject: str
) -> None:
    one = alert(1, kind="closing-soon", asks=None, answer_by=(), tlp="TLP:GREEN", exercise=drills[0])
    other = alert(2, kind="closed", asks=None, answer_by=(), tlp="TLP:RED", exercise=drills[1])
    mail = parsed(letter(one, other))
    assert mail["Subject"] == subject
    assert mail["Message-ID"] == f"<{letter().letter_id}@relay.example>"
    assert mail.get_all("X-Herald-Alert-Id") == [one.alert_id, other.alert_id]
    for words in both(mail):
        assert words.count("EXERCISE") == sum(drills)
        for each in (one, other):
            assert each.alert_id in words
            assert link(each.alert_id) in words


@pytest.mark.parametrize(
    ("zone", "instant", "there"),
    [
        ("America/New_York", datetime(2027, 3, 14, 6, 30, tzinfo=UTC), "Sunday 14 March 2027, 01:30 EST"),
        ("America/New_York", datetime(2027, 3, 14, 7, 30, tzinfo=UTC), "Sunday 14 March 2027, 03:30 EDT"),
        ("America/New_York", datetime(2027, 11, 7, 5, 30, tzinfo=UTC), "Sunday 7 November 2027, 01:30 EDT"),
        ("America/New_York", datetime(2027, 11, 7, 6, 30, tzinfo=UTC), "Sunday 7 November 2027, 01:30 EST"),
        ("Asia/Tokyo", datetime(2027, 12, 31, 15, 0, tzinfo=UTC), "Saturday 1 January 2028, 00:00 JST"),
        ("Asia/Kathmandu", datetime(2027, 3, 1, 0, 0, tzinfo=UTC), "Monday 1 March 2027, 05:45 +0545"),
    ],
)
def test_the_deadline_stands_in_utc_and_beside_it_in_the_agencys_time_zone(
    zone: str, instant: datetime, there: str
) -> None:
    for words in both(parsed(letter(due(instant), time_zone=zone))):
        assert f"{instant.day} {instant:%B %Y, %H:%M} UTC {there} ({zone})" in words


@pytest.mark.parametrize("zone", ["UTC", "Africa/Abidjan", "Nowhere/Atall", "../../etc/passwd", ""])
def test_utc_stands_alone_where_the_agencys_time_is_the_same_or_not_known(zone: str) -> None:
    for words in both(parsed(letter(due(DUE), time_zone=zone))):
        assert "14:00 UTC Release" in words


def test_an_escalation_tells_the_deadline_of_its_own_tier() -> None:
    mail = parsed(letter(alert(tier="lead", chase="escalation", repeats=alert().alert_id)))
    assert mail["Subject"].startswith("[TLP:AMBER] Not answered by others: ")
    for words in both(mail):
        assert "Thursday 11 March 2027, 14:00 UTC" in words
        assert "9 March" not in words


def test_without_a_public_address_the_mail_says_where_to_answer_instead() -> None:
    mail = parsed(letter(alert(), links={}))
    assert not parts(mail)[1].hrefs
    for words in both(mail):
        assert "Kafka topic" in words


@pytest.mark.parametrize(
    ("one", "subject", "said"),
    [
        (notice("test", "desk"), "Herald: test of cisa/desk", "nothing is asked of you"),
        (notice("disabled", "hook"), "Herald: cisa/hook is disabled", "has taken nothing for days"),
    ],
)
def test_a_notice_is_about_an_endpoint_and_about_no_release(one: Letter, subject: str, said: str) -> None:
    mail = parsed(one)
    assert mail["Subject"] == subject
    assert mail["Message-ID"] == f"<{NOTICE}@relay.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["References"] is None
    assert mail["X-Herald-Alert-Id"] is None
    for words in both(mail):
        assert said in words
        assert "Cybersecurity Desk" in words


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    for one in (letter(alert()), letter(alert(1), alert(2)), notice("test", "desk"), notice("disabled", "hook")):
        _, shown = parts(parsed(one))
        assert not shown.fetches
        assert not shown.tags & {"script", "img", "link", "iframe", "form", "object", "svg", "base"}


def test_what_an_operator_writes_is_text_in_the_page() -> None:
    mail = parsed(letter(notice=notice("test", "desk").notice, agency_name="<script>1</script> & “Désk”"))
    text, shown = parts(mail)
    assert "<script>1</script> & “Désk”" in text
    assert "script" not in shown.tags
    assert "<script>1</script> & “Désk”" in flat(" ".join(shown.text))


@pytest.mark.parametrize("bad", ["desk@agency.example\r\nBcc: all@agency.example", "desk@agency.example\nX: y"])
def test_an_address_cannot_bring_a_header_with_it(bad: str) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        written(letter(alert()), bad, SENDER)
    with pytest.raises(ValidationError):
        ADDRESS.validate_python(bad)


@given(to=st.from_regex(r"\A[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}\Z"))
@settings(max_examples=50)
def test_each_address_that_the_registry_takes_goes_out_as_it_is(to: str) -> None:
    raw = written(letter(alert()), to, SENDER).as_bytes()
    assert f"\r\nTo: {to}\r\n".encode() in raw
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_what_is_longer_than_a_usual_line_is_neither_torn_nor_encoded() -> None:
    domain = "-".join(["relay"] * 30) + ".example"
    raw = written(letter(alert()), f"{'d' * 64}@{domain}", f"herald@{domain}").as_bytes().decode()
    for line in (
        f"From: Herald <herald@{domain}>",
        f"To: {'d' * 64}@{domain}",
        f"Message-ID: <{alert().alert_id}@{domain}>",
        f"References: <release.{RELEASE}@{domain}>",
        link(alert().alert_id),
    ):
        assert f"\r\n{line}\r\n" in "\r\n" + raw


_SPOKEN = st.one_of(
    st.text(min_size=1, max_size=40),
    st.sampled_from(
        [
            "halo\r\nBcc: everybody@labs.example",
            "halo\n\n<script>alert(1)</script>",
            "<img src=https://labs.example/seen.gif>",
            "{{ letter.links }} {% raw %}",
            "\u202egpj.exe\u2066",
            "[answer](https://labs.example) **now**",
            "--=_7f3e2d1c-0b9a-4877-8655-443322110000--",
            ".\r\nQUIT",
        ]
    ),
)
_WHEN = st.datetimes(datetime(2001, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """All that a lab lets an agency know, with anything in it: checked nowhere, as if every check had failed."""
    said: dict[str, Any] = {name: draw(_SPOKEN) for name in ("lab", "reference", "handling")}
    said |= {name: draw(_WHEN) for name in ("trusted_partner_release_at", "public_release_at", "embargo_until")}
    window: dict[str, Any] = {name: draw(_WHEN) for name in ("opens_at", "closes_at", "opened_at", "ended_at")}
    model: dict[str, Any] = {name: draw(_SPOKEN) for name in Model.model_fields}
    access: dict[str, Any] = {name: draw(_SPOKEN) for name in Access.model_fields}
    return Content.model_construct(
        **said,
        model=Model.model_construct(**model),
        capabilities=(draw(_SPOKEN),),
        access=Access.model_construct(**access),
        window=AlertWindow.model_construct(status="open", **window),
    )


def told(one: AlertIssued, spoken: str, content: Content, when: datetime) -> AlertIssued:
    """The same alert with a lab's words wherever an alert may hold any, and its dates."""
    return one.model_copy(
        update={
            "content": content,
            "changed": (spoken,),
            "voluntary": spoken,
            "due_at": when,
            "happened_at": when - timedelta(days=1),
            "short_notice": True,
        }
    )


@given(spoken=_SPOKEN, content=contents(), when=_WHEN, count=st.integers(1, 2))
@settings(max_examples=60)
def test_nothing_that_a_lab_writes_changes_a_byte_of_the_mail(
    spoken: str, content: Content, when: datetime, count: int
) -> None:
    bare = [alert(number) for number in range(1, count + 1)]
    full = [told(each, spoken, content, when) for each in bare]
    assert written(letter(*full), TO, SENDER).as_bytes() == written(letter(*bare), TO, SENDER).as_bytes()
