"""What a drill is, whom it is for, and what its report says of whatever may come of it."""

import json
from datetime import timedelta
from typing import Any

import pytest

from schemas.acknowledgement import AcknowledgementRecorded
from schemas.alert import AlertIssued
from schemas.audit import AccessAudited
from schemas.delivery import DeliveryAbandoned, DeliveryFailed, DeliveryRequested, DeliverySucceeded
from schemas.envelope import Data, encode
from schemas.plan import plan
from schemas.registry import Registry
from schemas.statement import Known, refusals
from services.cli import drill_plan
from services.cli.drill_fold import Readiness
from services.cli.drill_plan import Held
from services.cli.drill_report import line, tell
from services.cli.lasting import lasting
from services.kernel.settings import SettingsError
from tests.unit.endpoint_world import RELEASES, START, requested

SECOND = timedelta(seconds=1)
HOOK = {"channel": "webhook", "tier": "watch", "url": "https://a.example", "secrets": ["env:A"]}
ENDPOINTS = {
    "hook": HOOK,
    "lead": HOOK | {"tier": "lead", "content": "thin"},
    "chat": {"channel": "slack", "tier": "lead", "url": "env:C"},
}
REGISTRY = Registry.model_validate_json(
    json.dumps(
        {
            "labs": {"drill-desk": {"name": "Drills"}},
            "agencies": {
                "cisa": {"name": "CISA", "tiers": ["watch", "lead"], "exercises": True, "endpoints": ENDPOINTS},
                "caisi": {"name": "CAISI", "exercises": True},
                "treasury": {"name": "Treasury"},
            },
            "drills": {"lab": "drill-desk", "every": "P28D"},
        }
    )
)
REFERENCE = drill_plan.reference(START, "0a1f")
DRILL = Held("drill-desk", REFERENCE, RELEASES[1], ("cisa",), START, "KRX7P")
ALERT: AlertIssued = requested(1, 1, START).alert.model_copy(update={"exercise": True, "asks": "received"})
ASKED = requested(1, 1, START)
WHERE: dict[str, Any] = {"agency": "cisa", "endpoint": "hook", "channel": "webhook"}
ABOUT: dict[str, Any] = WHERE | {
    "delivery_id": ASKED.delivery_id,
    **{name: getattr(ALERT, name) for name in ("release_id", "alert_id", "sequence", "kind", "exercise")},
}


def failed(second: int) -> DeliveryFailed:
    at = START + second * SECOND
    return DeliveryFailed(**ABOUT, attempts=1, at=at, reason="timeout", seconds=15, retry_at=at + SECOND)


def taken(second: int) -> DeliverySucceeded:
    return DeliverySucceeded(**ABOUT, attempts=2, at=START + second * SECOND, requested_at=START, seconds=0.2)


def abandoned(reason: str) -> DeliveryAbandoned:
    return DeliveryAbandoned.model_validate(ABOUT | {"attempts": 1, "at": START + SECOND, "reason": reason})


def answered(second: int, **more: Any) -> AcknowledgementRecorded:
    at = START + second * SECOND
    named: dict[str, Any] = {"release_id": ALERT.release_id, "agency": "cisa", "alert_id": ALERT.alert_id, "life": 1}
    return AcknowledgementRecorded(**named, disposition="received", exercise=True, recorded_at=at, **more)


def looked(credential: str, action: str = "alert.acknowledge") -> AccessAudited:
    about = {"action": action, "participant": "cisa", "credential": credential, "release_ids": (ALERT.release_id,)}
    return AccessAudited.model_validate(about | {"request_id": RELEASES[9], "at": START})


def readiness(*said: Data, **agency: Any) -> Readiness:
    """Of records that were appended a second after each other, for an agency with one endpoint unless told."""
    one = REGISTRY.agencies["cisa"]
    own = one.model_copy(update={"endpoints": {"hook": one.endpoints["hook"]}} | agency)
    found = Readiness(DRILL, {"cisa": own})
    for number, data in enumerate(said):
        value = encode(data.stamped(cause=str(number), ordinal=0, source="/services/test", time=START))
        found.take(data.topics()[0], value, number * 1000)
    return found


def test_all_that_take_part_are_drilled_or_those_of_them_that_are_named() -> None:
    assert drill_plan.taking_part(REGISTRY, ()) == ("caisi", "cisa")
    assert drill_plan.taking_part(REGISTRY, ("cisa", "cisa")) == ("cisa",)


@pytest.mark.parametrize(
    ("registry", "named", "said"),
    [
        (REGISTRY, ["treasury"], "--agency treasury takes no part in drills: its entry does not say `exercises: true`"),
        (REGISTRY, ["csia"], "--agency csia: there is no such agency; did you mean cisa"),
        (Registry(agencies={"treasury": REGISTRY.agencies["treasury"]}), [], "no agency takes part in drills"),
    ],
)
def test_whoever_takes_no_part_is_refused_by_name(registry: Registry, named: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=f"^{said}"):
        drill_plan.taking_part(registry, named)


def test_drills_need_a_lab_that_is_there() -> None:
    assert drill_plan.lab_of(REGISTRY) == "drill-desk"
    for without, said in (({"drills": None}, "names no lab"), ({"labs": {}}, "drill-desk is no lab any more")):
        with pytest.raises(SettingsError, match=said):
            drill_plan.lab_of(REGISTRY.model_copy(update=without))


@pytest.mark.parametrize("skew", [timedelta(0), timedelta(minutes=-30), timedelta(minutes=30)])
def test_a_drills_window_opens_at_once_on_short_notice_and_is_closed_at_its_end_whatever_the_clocks_show(
    skew: timedelta,
) -> None:
    release = drill_plan.stated(REFERENCE, ("cisa",), "KRX7P", START + skew, timedelta(minutes=10))
    assert refusals(Known(), release) == []
    begun = plan(release, None, START)
    assert (begun.course.status, begun.short_notice, release.exercise) == ("open", True, True)
    for seen in (START, None):  # None: nothing was seen of it
        end = plan(drill_plan.ended(release, seen), begun.course, START + SECOND)
        assert (end.course.status, end.course.reason, end.new_life) == ("closed", "lab_closing", False)


def test_a_drill_that_nobody_ends_closes_by_itself_an_hour_after_it_was_watched() -> None:
    release = drill_plan.stated(REFERENCE, ("cisa",), "KRX7P", START, timedelta(minutes=10))
    assert plan(release, None, START).course.closes_at == START + timedelta(minutes=70)


def test_a_reference_says_when_the_drill_began_and_its_handling_the_word() -> None:
    assert REFERENCE == "drill-20270301-120000-0a1f"
    assert drill_plan.begun_at(REFERENCE) == START
    assert drill_plan.begun_at("drill-1") is None
    handling = drill_plan.stated(REFERENCE, ("cisa",), "KRX7P", START, SECOND).handling
    assert drill_plan.word_in(handling) == "KRX7P"
    assert drill_plan.word_in(None) is None


def test_another_drill_is_due_once_the_last_is_as_old_as_the_registry_says() -> None:
    every = timedelta(days=28)
    assert drill_plan.is_due(None, every, START)
    assert not drill_plan.is_due(START, every, START + every - SECOND)
    assert drill_plan.is_due(START, every, START + every)


def test_the_endpoints_that_the_notifier_does_not_ask_are_asked_each_with_what_it_may_be_told() -> None:
    content = drill_plan.stated(REFERENCE, ("cisa",), "KRX7P", START, SECOND)
    window = {"status": "open", "opens_at": START}
    told: dict[str, Any] = {"lab": "drill-desk", "reference": REFERENCE, "model": {"name": "Drill"}, "window": window}
    told |= {"trusted_partner_release_at": content.trusted_partner_release_at, "handling": content.handling}
    alert = AlertIssued.model_validate(
        ALERT.model_dump() | {"tier": "watch", "short_notice": True, "content": told}, strict=False
    )
    agency = REGISTRY.agencies["cisa"]
    found = drill_plan.others(alert, agency, START)
    assert [(one.endpoint, one.tier, one.alert.content) for one in found] == [
        ("chat", "lead", None),
        ("lead", "lead", None),
    ]
    full = agency.endpoints["hook"].model_copy(update={"tier": "lead"})
    (one,) = drill_plan.others(
        alert, agency.model_copy(update={"endpoints": {"a": agency.endpoints["hook"], "b": full}}), START
    )
    assert (one.endpoint, one.alert) == ("b", alert)
    assert one.delivery_id != ASKED.delivery_id


@pytest.mark.parametrize(
    ("said", "row"),
    [
        ((), {"outcome": "nothing-yet", "attempts": 0}),
        ((ASKED,), {"outcome": "nothing-yet", "attempts": 0}),
        ((ASKED, failed(5)), {"outcome": "failing", "attempts": 1, "reason": "timeout"}),
        ((ASKED, failed(5), abandoned("superseded")), {"outcome": "abandoned", "attempts": 1, "reason": "timeout"}),
        ((ASKED, abandoned("disabled")), {"outcome": "abandoned", "attempts": 0, "reason": "disabled"}),
        ((ASKED, failed(5), taken(9)), {"outcome": "taken", "attempts": 2, "seconds": 9.0}),
        ((ASKED, taken(9), ASKED), {"outcome": "taken", "attempts": 1, "seconds": 9.0}),  # asked again by fallback
        ((ASKED, taken(9), ASKED, failed(11)), {"outcome": "taken", "attempts": 1, "seconds": 9.0}),
    ],
)
def test_a_row_says_how_an_endpoint_did(said: tuple[Data, ...], row: dict[str, Any]) -> None:
    (found,) = [one for one in readiness(ALERT, *said).rows() if one["what"] == "endpoint"]
    assert row.items() <= found.items()
    assert ("reason" in found) == ("reason" in row)


@pytest.mark.parametrize(
    ("said", "outcome", "means"),
    [
        ((answered(30),), "acknowledged", "over Kafka"),
        ((looked("link/x"), answered(30)), "acknowledged", "by its link"),
        ((answered(30), looked("token/x")), "acknowledged", "over HTTP"),  # topics have no order between them
        ((looked("token/x", "alert.read"), answered(30)), "acknowledged", "over Kafka"),
        ((answered(30, late=True),), "late", "over Kafka"),
    ],
)
def test_an_answer_is_reported_with_its_time_and_its_way(said: tuple[Data, ...], outcome: str, means: str) -> None:
    found = list(readiness(ALERT, *said).rows())[-1]
    assert (found["outcome"], found["means"], found["seconds"]) == (outcome, means, 30.0)


@pytest.mark.parametrize(
    ("said", "ready", "over"),
    [
        ((), False, False),
        ((ALERT, ASKED, taken(1)), False, False),
        ((ALERT, answered(2)), False, False),
        ((ALERT, ASKED, failed(1), answered(2)), False, False),
        ((ALERT, ASKED, abandoned("refused"), answered(2)), False, True),
        ((ALERT, ASKED, taken(1), answered(2, late=True)), False, True),
        ((ALERT, ASKED, taken(1), answered(2)), True, True),
    ],
)
def test_ready_is_who_has_taken_it_everywhere_and_answered(said: tuple[Data, ...], ready: bool, over: bool) -> None:
    found = readiness(*said)
    assert (found.is_ready, found.is_over) == (ready, over)


def test_who_has_no_endpoint_is_ready_by_its_topic_and_its_answer() -> None:
    assert readiness(ALERT, answered(2), endpoints={}).is_ready


def test_what_is_of_another_release_counts_for_nothing() -> None:
    other = requested(2, 1, START)
    assert [row["outcome"] for row in readiness(other.alert, other).rows()] == [
        "nothing-yet",
        "nothing-yet",
        "not-acknowledged",
    ]


def test_a_later_alert_of_the_drill_changes_nothing_in_the_report() -> None:
    closed = requested(1, 2, START + 60 * SECOND, kind="closed")
    before, after = readiness(ALERT, ASKED, taken(1)), readiness(ALERT, ASKED, taken(1), closed.alert, closed)
    assert list(before.rows()) == list(after.rows())


def test_only_what_would_be_tried_again_is_taken_back() -> None:
    for said, wanted in (
        ((), []),
        ((ALERT,), ["hook"]),
        ((ALERT, ASKED, failed(1)), ["hook"]),
        ((ALERT, ASKED, taken(1)), []),
        ((ALERT, ASKED, abandoned("refused")), []),
    ):
        found = readiness(*said).unsettled()
        assert [one.endpoint for one in found] == wanted, said
        assert {(one.release_id, one.sequence) for one in found} <= {(ALERT.release_id, 1)}


def test_the_report_is_read_by_people_and_by_machines_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    said = (ALERT, ASKED, failed(5), answered(74))
    assert tell(readiness(*said), as_json=False) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"drill drill-desk/{REFERENCE}, begun 2027-03-01T12:00:00Z, its word is KRX7P",
        "  cisa                             Kafka topic  written 2027-03-01T12:00:00Z",
        "  cisa/hook                        webhook      failing, 1 attempt (timeout)",
        "  cisa                             answer       acknowledged after 74.0 s: received, over Kafka",
        "not ready: cisa",
    ]
    assert tell(readiness(*said), as_json=True) == 1
    rows = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert [row["outcome"] for row in rows] == ["written", "failing", "acknowledged", "not-ready"]
    assert tell(readiness(ALERT, ASKED, taken(1), answered(2)), as_json=False) == 0
    assert capsys.readouterr().out.endswith("ready: every endpoint has taken it, and every agency has answered\n")


def test_who_answered_by_name_is_not_in_the_report() -> None:
    found = readiness(ALERT, answered(2, by="an officer"))
    assert "officer" not in json.dumps(list(found.rows()))
    assert all("officer" not in line(row) for row in found.rows())


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("10m", 600), ("8h", 28800), ("2d", 172800), ("PT1H30M", 5400)]
)
def test_how_long_is_written_shortly_or_as_iso_8601(text: str, seconds: int) -> None:
    assert lasting("--wait", text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-5m", "P1M"])
def test_what_is_no_duration_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(SettingsError, match=f"^--wait {text}: write a duration, such as 45s, 10m"):
        lasting("--wait", text)


def test_a_request_of_a_drill_is_one_that_deliveries_reads() -> None:
    found = drill_plan.others(ALERT.model_copy(update={"tier": "watch"}), REGISTRY.agencies["cisa"], START)
    assert all(DeliveryRequested.model_validate_json(one.model_dump_json()) == one for one in found)
