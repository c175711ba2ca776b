"""The edge: origin, form, repeats. Whatever comes gets exactly one answer, or goes in."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.command import Taken
from schemas.dead_letter import DeadLettered
from schemas.receipt import Answered, Coordinates, ReceiptRefused
from schemas.values import MAX_EVENT_BYTES
from services.gateway.decide import Forwarded, decide, evolve, key
from services.gateway.parse import Parsed, parse
from services.gateway.state import EdgeState
from tests.scale import scaled
from tests.simulation.world import World, at, registry, release

NOW = datetime(2027, 3, 1, tzinfo=UTC)


def event(**changes: Any) -> dict[str, Any]:
    """A sound event of `lab`."""
    base = {
        "specversion": "1.0",
        "id": "e1",
        "source": "/labs/lab",
        "type": "herald.release.announced.v1",
        "data": release(),
    }
    return {name: value for name, value in (base | changes).items() if value is not None}


def taken(value: bytes | None, topic: str = "releases.lab") -> Taken:
    return Taken(Coordinates(topic=topic, partition=0, offset=7), value, NOW, registry())


def refusals(world: World, participant: str = "lab") -> list[tuple[str, str]]:
    return [(reason["code"], reason.get("field", "")) for reason in world.receipt(participant)["reasons"]]


def test_a_lab_that_speaks_for_another_is_refused() -> None:
    world = World().send("releases.other", "/labs/lab", "release.announced", release())
    assert refusals(world, "other") == [("wrong_origin", "source")]
    assert world.logs["releases"] == []


def test_an_event_of_the_wrong_kind_is_refused() -> None:
    data = {"alert_id": at(0), "release_id": at(0), "disposition": "received"}
    world = World().send("releases.lab", "/labs/lab", "acknowledgement.submitted", data)
    assert "type must be one of" in world.receipt()["reasons"][0]["message"]
    world = World().send("acks.all", "/agencies/all", "release.announced", release())
    assert refusals(world, "all") == [("invalid", "type")]


@pytest.mark.parametrize("name", ["senderid", "repeat"])
def test_what_herald_sets_itself_is_refused(name: str) -> None:
    world = World().send("releases.lab", "/labs/lab", "release.announced", release(), **{name: "x"})
    assert refusals(world) == [("invalid", name)]


def test_who_is_not_in_the_registry_is_refused() -> None:
    world = World().send("releases.unknown", "/labs/unknown", "release.announced", release())
    assert refusals(world, "unknown") == [("unknown_participant", "")]


def test_every_problem_of_an_event_is_named() -> None:
    data = release(reference="no good", audiance={"mode": "matching"}) | {"tlp": "TLP:WHITE"}
    world = World().send("releases.lab", "/labs/lab", "release.announced", data)
    assert {field for _, field in refusals(world)} == {"data.reference", "data.audiance", "data.tlp"}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "not_json"),
        (b"", "not_json"),
        (b"not json", "not_json"),
        (b"\xff\xfe{}", "not_json"),
        (b'{"id": NaN}', "not_json"),
        (b'{"id": "a", "id": "b"}', "not_json"),
        (b'{"id": "\\ud800"}', "not_json"),
        (b'{"a":' * 40_000, "not_json"),
        (b'{"id": "a", "data": ' + b"[" * 64 + b"]" * 64 + b"}", "not_json"),
        (b'"\\"' * 60_000, "not_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not_json"),
        (b"[1, 2]", "not_an_event"),
        (b'"text"', "not_an_event"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_coordinates_and_kept_as_a_dead_letter(
    value: bytes | None, code: str
) -> None:
    world = World().raw("releases.lab", value)
    assert refusals(world) == [(code, "")]
    assert world.receipt()["coordinates"] == {"topic": "releases.lab", "partition": 0, "offset": 0}
    assert [record.value for record in world.logs["dead-letters"]] == [value]


def test_an_event_over_the_limit_is_refused_unread() -> None:
    world = World().raw("releases.lab", b'{"id": "' + b"x" * MAX_EVENT_BYTES + b'"}')
    assert refusals(world) == [("too_large", "")]
    assert world.logs["dead-letters"] == []


def test_the_same_id_with_other_content_is_refused() -> None:
    world = World().announce(event_id="one").announce(event_id="one", handling="other")
    assert refusals(world) == [("id_reused", "id")]


def test_a_reused_id_again_is_refused_with_the_same_bytes() -> None:
    other = json.dumps(event(data=release(handling="other"))).encode()
    world = World().raw("releases.lab", json.dumps(event()).encode()).raw("releases.lab", other).until(3)
    one, two = (record.value for record in world.raw("releases.lab", other).logs["receipts.lab"][-2:])
    assert one == two
    assert refusals(world) == [("id_reused", "id")]


def test_a_repeat_is_answered_as_before_also_once_its_lab_has_left() -> None:
    first = json.dumps(event()).encode()
    world = World().raw("releases.lab", first)
    world.apply(registry(version=2, offboarded={"lab": "2027-03-01T00:00:00Z"})).raw("releases.lab", first)
    one, two = (r.value for r in world.logs["receipts.lab"] if b"herald.receipt" in (r.value or b""))
    assert one == two
    world.raw("releases.lab", json.dumps(event(id="e2")).encode())
    assert refusals(world) == [("offboarded", "")]


def test_how_deep_is_too_deep_does_not_depend_on_who_asks() -> None:
    def asked(frames: int, value: bytes) -> object:
        return asked(frames - 1, value) if frames else parse.__wrapped__(value)

    for depth in (10, 63, 64, 500, 900):
        value = b'{"id": "a", "data": ' + b"[" * depth + b"]" * depth + b"}"
        assert isinstance(asked(0, value), Parsed) == isinstance(asked(500, value), Parsed) == (depth < 64)


def test_brackets_in_a_string_are_no_depth() -> None:
    assert World().announce(handling='[{"' * 500 + "\\").receipt()["outcome"] == "accepted"


def test_a_name_that_a_sender_made_up_is_shown_short_and_harmless() -> None:
    data = release() | {"\x1b[31msk-" + "x" * 10_000: 1}
    world = World().send("releases.lab", "/labs/lab", "release.announced", data)
    (field,) = [reason["field"] for reason in world.receipt()["reasons"]]
    assert field.startswith("data.?[31msk-xxx")
    assert len(field) < 80


def test_a_remedy_can_be_followed_to_the_letter() -> None:
    world = World().announce(tlp="tlp:amber")
    assert "'TLP:AMBER+STRICT'" in world.receipt()["reasons"][0]["message"]


@pytest.mark.parametrize("name", ["traceparent", "tracestate"])
def test_a_trace_that_is_none_is_refused(name: str) -> None:
    world = World().send("releases.lab", "/labs/lab", "release.announced", release(), **{name: "\n"})
    assert refusals(world) == [("invalid", name)]


def test_the_same_content_spelt_otherwise_is_the_same_event() -> None:
    world = World().raw("releases.lab", json.dumps(event()).encode())
    world.raw("releases.lab", json.dumps(event(), indent=3, sort_keys=True).encode())
    assert world.receipt()["outcome"] == "accepted"
    assert len(world.events("announcements")) == 1


def test_a_refused_event_again_is_refused_with_the_same_bytes() -> None:
    wrong = json.dumps(event(source="/labs/other")).encode()
    world = World().raw("releases.lab", wrong).until(3).raw("releases.lab", wrong)
    one, two = (record.value for record in world.logs["receipts.lab"])
    assert one == two


def test_an_event_refused_before_its_lab_was_registered_is_let_in_afterwards() -> None:
    late = json.dumps(event(source="/labs/late")).encode()
    world = World().raw("releases.late", late)
    assert refusals(world, "late") == [("unknown_participant", "")]
    world.apply(registry(version=2, labs={"late": {"name": "Late"}})).raw("releases.late", late)
    assert world.receipt("late")["outcome"] == "accepted"
    assert world.raw("releases.late", late).receipt("late")["outcome"] == "accepted"
    assert len(world.events("announcements")) == 1


def test_an_edge_remembers_its_last_thousand_events() -> None:
    states: dict[str, EdgeState | None] = {}
    for number in range(1000):
        command = taken(json.dumps(event(id=f"e{number}")).encode())
        for emitted in decide(states.get(key(command)), command, NOW):
            states[key(command)] = evolve(states.get(key(command)), emitted)
    for number in range(1000):
        command = taken(json.dumps(event(id=f"e{number}")).encode())
        (forwarded,) = decide(states.get(key(command)), command, NOW)
        assert isinstance(forwarded, Forwarded)
        assert forwarded.repeat, number


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MUTATED = st.builds(
    lambda path, value: _put(event(), path, value),
    st.sampled_from(
        [("id",), ("type",), ("source",), ("data",), ("data", "model"), ("data", "audience"), ("data", "x")]
    ),
    JSON,
)


def _put(found: dict[str, Any], path: tuple[str, ...], value: Any) -> bytes:
    inner = found
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return json.dumps(found).encode(errors="surrogatepass")


@settings(max_examples=scaled(300, 20_000))
@given(st.one_of(st.none(), st.binary(max_size=200), JSON.map(lambda v: json.dumps(v).encode()), MUTATED))
def test_whatever_comes_is_answered_once_or_goes_in(value: bytes | None) -> None:
    command = taken(value)
    state: EdgeState | None = None
    emitted = decide(state, command, NOW)
    assert emitted == decide(state, command, NOW)
    answers = [e for e in emitted if isinstance(e, Answered)]
    forwarded = [e for e in emitted if isinstance(e, Forwarded)]
    assert len(answers) + len(forwarded) == 1
    assert all(isinstance(answer.receipt, ReceiptRefused) for answer in answers)
    assert sum(isinstance(e, DeadLettered) for e in emitted) <= len(answers)
    for one in (*answers, *forwarded):
        one.stamped(cause="c", ordinal=0, source="/services/gateway", time=NOW)
    for one in emitted:
        state = evolve(state, one)
    if state is not None:
        assert EdgeState.model_validate_json(state.model_dump_json()) == state
