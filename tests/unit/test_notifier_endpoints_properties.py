"""What holds of requests to endpoints after any sequence of statements, answers, outcomes and registry versions."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scale import scaled
from tests.simulation.world import World, at, endpoints, pushed

DECLARED = sorted(endpoints()["all"])
STEPS = st.one_of(
    st.tuples(st.just("announce"), st.sampled_from([5, 20, 30, 30.5, 31]), st.sampled_from(["so", "otherwise"])),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("answer"), st.integers(0, 9)),
    st.tuples(
        st.just("outcome"),
        st.integers(0, 9),
        st.sampled_from([None, "refused", "disabled", "removed", "backlog-full", "superseded", "acknowledged", "moot"]),
    ),
    st.tuples(st.just("pass"), st.sampled_from([1, 9, 10, 11, 60, 1441, 20000])),
    st.tuples(st.just("registry"), st.sets(st.sampled_from(DECLARED)), st.booleans()),
    st.tuples(st.just("crash")),
)


def version(number: int, kept: set[str], turned: bool) -> Any:
    """A registry in which agency `all` has some endpoints, perhaps each in the other tier."""
    declared = {name: endpoints()["all"][name] for name in sorted(kept)}
    if turned:
        declared = {n: e | {"tier": "lead" if e["tier"] == "watch" else "watch"} for n, e in declared.items()}
    known = pushed().model_dump(mode="json", exclude_none=True)["agencies"]
    return pushed(version=number, agencies=known | {"all": known["all"] | {"endpoints": declared}})


def play(steps: list[tuple[Any, ...]]) -> tuple[World, list[dict[str, set[str]]]]:
    """Lives the steps; also the endpoints of `all` in each tier, of each registry version in its order."""
    world, tiers = World(pushed()), [_tiers(pushed())]
    for step in steps:
        match step:
            case ("announce", day, handling):
                world.announce(trusted_partner_release_at=at(day), handling=handling)
            case ("withdraw",):
                world.withdraw()
            case ("answer", number) if alerts := world.alerts("all"):
                world.answer("all", alert=alerts[number % len(alerts)]["alert_id"])
            case ("outcome", number, reason) if requests := world.requests("all/"):
                world.outcome(requests[-1 - number % len(requests)], reason)
            case ("pass", minutes):
                world.until(world.now + timedelta(minutes=minutes))
            case ("registry", kept, turned):
                applied = version(len(tiers) + 1, kept, turned)
                tiers.append(_tiers(applied))
                world.apply(applied)
            case ("crash",):
                world.crash("notifier")
    return world.until(world.now + timedelta(minutes=11)), tiers


def _tiers(applied: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name, endpoint in applied.agencies["all"].endpoints.items():
        found[endpoint.tier].add(name)
    return found


@settings(max_examples=scaled(200, 3000), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=16))
def test_whatever_happens_requests_keep_their_order_their_place_and_their_end(steps: list[tuple[Any, ...]]) -> None:
    world, tiers = play([("announce", 30, "so"), *steps])
    assert world.logs["dead-letters"] == []
    last: dict[str, int] = defaultdict(int)
    first: dict[str, str] = {}
    for event in world.events("deliveries"):
        data = event["data"]
        if "delivery_id" not in data:
            assert data["sequence"] >= last[event["subject"]], "what was asked last is not what is taken back"
            continue
        alert = data["alert"]
        assert alert["sequence"] > last[event["subject"]], "an older alert after a newer one, or the same twice"
        last[event["subject"]] = alert["sequence"]
        if data["agency"] == "all":
            since = tiers[alert["registry_version"] - 1 :]
            assert any(data["endpoint"] in each[data["tier"]] for each in since), "not in the registry"
        if first.setdefault(alert["alert_id"], data["requested_at"]) != data["requested_at"]:
            assert not _ended(world, data), "the next tier is asked for what was taken or answered"


def _ended(world: World, request: dict[str, Any]) -> bool:
    """Whether the alert was taken, or answered, before this was asked."""
    named, asked_at = request["alert"]["alert_id"], datetime.fromisoformat(request["requested_at"])
    taken = [e["data"] for e in world.events("delivery-outcomes", "succeeded") if e["data"]["alert_id"] == named]
    answers = [answer for answer in world.acknowledgements() if answer["alert_id"] == named]
    ends = [each["at"] for each in taken] + [each["recorded_at"] for each in answers]
    return any(datetime.fromisoformat(end) < asked_at for end in ends)
