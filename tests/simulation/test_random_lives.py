"""Hypothesis drives every decider through random lives of releases; what must never be otherwise is checked throughout.

Labs state, slip, withdraw and announce again; agencies answer anything at any time; the registry changes; services
crash between any two steps; time passes in leaps.
"""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scale import scaled
from tests.simulation.world import ORDER, World, at, pushed

DAYS = st.integers(-5, 80)
OFFERS = st.one_of(
    st.none(),
    st.builds(lambda d: {"opens": f"P{d}D"}, st.integers(0, 60)),
    st.builds(lambda d: {"opens": at(d)}, DAYS),
    st.builds(lambda d, c: {"opens": f"P{d}D", "closes_at": at(c)}, st.integers(0, 60), DAYS),
)
AGENCIES = ("all", "cyber", "drills", "not")
AUDIENCES = st.one_of(
    st.just({"mode": "matching"}),
    st.builds(lambda e: {"mode": "matching", "exclude": [e]}, st.sampled_from(AGENCIES)),
    st.builds(lambda a: {"mode": "listed", "agencies": sorted(a)}, st.sets(st.sampled_from(AGENCIES), min_size=1)),
)
STEPS = st.one_of(
    st.tuples(
        st.just("announce"),
        DAYS,
        OFFERS,
        AUDIENCES,
        st.sampled_from([None, "handle so", "handle otherwise"]),
        st.lists(st.sampled_from(["cyber", "biology", "unheard-of"]), max_size=2, unique=True),
    ),
    st.tuples(st.just("withdraw")),
    st.tuples(
        st.just("answer"),
        st.sampled_from(AGENCIES),
        st.sampled_from(["received", "participating", "declined", "finished"]),
        st.integers(0, 20),
    ),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 0.5, 1, 2, 3, 7, 14, 40])),
    st.tuples(st.just("crash"), st.sampled_from([service.name for service in ORDER])),
    st.tuples(st.just("down"), st.sampled_from([service.name for service in ORDER])),
    st.tuples(st.just("up")),
    st.tuples(st.just("registry"), st.sets(st.sampled_from(AGENCIES), min_size=1)),
)


def play(steps: list[tuple[Any, ...]], answers: bool = True) -> World:
    """Lives the steps, then lets all that is due happen."""
    world, version = World(pushed()), 1
    for step in steps:
        match step:
            case ("announce", release_day, offer, audience, handling, capabilities):
                world.announce(
                    trusted_partner_release_at=at(release_day),
                    early_access=offer,
                    audience=audience,
                    handling=handling,
                    capabilities=capabilities,
                )
            case ("withdraw",):
                world.withdraw()
            case ("answer", agency, disposition, number) if answers and world.alerts(agency):
                alerts = world.alerts(agency)
                world.answer(agency, disposition, alert=alerts[number % len(alerts)]["alert_id"])
            case ("pass", days):
                world.until(world.now + timedelta(days=days))
            case ("crash", name):
                world.crash(name)
            case ("down", name):
                world.down.add(name)
            case ("up",):
                world.down.clear()
                world.settle()
            case ("registry", kept):
                version += 1
                known = json.loads(pushed().model_dump_json(exclude_none=True))["agencies"]
                world.apply(pushed(version=version, agencies={name: known[name] for name in sorted(kept)}))
    world.down.clear()
    world.settle()
    return world.until(world.now + timedelta(days=120))


def instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def check(world: World) -> None:
    """What must never be otherwise."""
    assert world.logs["dead-letters"] == []
    _check_windows(world)
    for agency in AGENCIES:
        _check_alerts(world, agency)
    _check_chases(world)
    for lab in ("lab", "other"):
        asked = len(world.logs[f"releases.{lab}"])
        assert len(world.events(f"receipts.{lab}", "receipt.")) == asked
    for agency in AGENCIES:
        assert len(world.events(f"receipts.{agency}", "receipt.")) == len(world.logs[f"acks.{agency}"])


def _check_windows(world: World) -> None:
    opened: dict[int, str] = {}
    ended: set[int] = set()
    last_life = last_revision = 0
    for event in world.windows():
        window, life = event["window"], event["window"]["life"]
        release_at = instant(window["statement"]["trusted_partner_release_at"])
        opens_at, closes_at = instant(window.get("opens_at")), instant(window.get("closes_at"))
        assert life >= last_life
        assert window["revision"] >= last_revision
        assert life not in ended
        last_life, last_revision = life, window["revision"]
        if window["status"] == "scheduled":
            assert opens_at is not None
            assert release_at is not None
            assert release_at - timedelta(days=30) <= opens_at < closes_at  # type: ignore[operator]
        if window["status"] in {"scheduled", "open"}:
            assert closes_at is not None
            assert release_at is not None
            assert closes_at <= release_at
        if window.get("opened_at"):
            assert opened.setdefault(life, window["opened_at"]) == window["opened_at"]
        if event.get("due_at"):
            assert instant(event["due_at"]) <= instant(event["happened_at"])  # type: ignore[operator]
        if window["status"] in {"closed", "withdrawn"}:
            ended.add(life)
    if world.windows():
        assert world.window()["status"] in {"closed", "withdrawn", "not-offered"}
        assert all(ledger.next_timer() is None for ledger in world.ledgers.values())


def _check_alerts(world: World, agency: str) -> None:
    alerts = world.alerts(agency)
    assert [a["sequence"] for a in alerts] == list(range(1, len(alerts) + 1))
    assert len({a["alert_id"] for a in alerts}) == len(alerts)
    dropped = None
    asking: str | None = None
    for alert in alerts:
        if alert["kind"] == "no-longer-addressed":
            assert "content" not in alert
            assert dropped is None
            dropped = alert["life"]
        else:
            assert alert.get("chase") is None or dropped is None
            dropped = None
        if alert.get("repeats"):
            assert alert["repeats"] == asking
        elif alert.get("asks"):
            asking = alert["alert_id"]
    sources = world.events(f"alerts.{agency}")
    assert [e["id"] for e in world.events("alerts") if e["data"]["agency"] == agency] == [e["id"] for e in sources]


def _check_chases(world: World) -> None:
    answered: dict[str, datetime] = {}
    repeats: dict[tuple[str, str, str], int] = defaultdict(int)
    exhausted: dict[str, int] = defaultdict(int)
    for recorded in world.acknowledgements("recorded"):
        answered.setdefault(recorded["alert_id"], instant(recorded["recorded_at"]))  # type: ignore[arg-type]
    for overdue in world.acknowledgements("overdue"):
        exhausted[overdue["alert_id"]] += overdue["exhausted"]
    for event in world.events("alerts"):
        alert = event["data"]
        if alert.get("repeats"):
            repeats[alert["repeats"], alert["tier"], alert["chase"]] += 1
            before = answered.get(alert["repeats"])
            assert before is None or before >= instant(alert["issued_at"])  # type: ignore[operator]
    assert all(count == 1 for count in repeats.values())
    assert all(count <= 1 for count in exhausted.values())


@settings(max_examples=scaled(60, 2000), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=14))
def test_random_lives_keep_what_must_never_be_otherwise(steps: list[tuple[Any, ...]]) -> None:
    check(play(steps))


@settings(max_examples=scaled(20, 500), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=12))
def test_two_runs_that_differ_only_in_answers_give_the_same_bytes(steps: list[tuple[Any, ...]]) -> None:
    with_answers, without = play(steps), play(steps, answers=False)
    for topic in ("announcements", "windows"):
        assert [r.value for r in with_answers.logs[topic]] == [r.value for r in without.logs[topic]]


@settings(max_examples=scaled(20, 500), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=12))
def test_crashes_between_any_two_steps_change_nothing(steps: list[tuple[Any, ...]]) -> None:
    calm = play([step for step in steps if step[0] != "crash"])
    stormy = play([each for step in steps for each in (step, *[("crash", s.name) for s in ORDER])])
    assert {t: [r.value for r in records] for t, records in calm.logs.items() if not t.startswith("state.")} == {
        t: [r.value for r in records] for t, records in stormy.logs.items() if not t.startswith("state.")
    }
