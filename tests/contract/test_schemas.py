"""The contract holds: examples validate, counterexamples do not, nothing drifts, and no reader of old events breaks."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from schemas import generate
from schemas.envelope import Event, encode, reader
from schemas.explain import explain
from schemas.generated import drift
from schemas.topics import ACKS, EVENTS, RELEASES, TOPICS
from tests.contract.compatibility import breaking
from tests.contract.examples import EXAMPLES, examples

COUNTEREXAMPLES = sorted((generate.HERE / "counterexamples").glob("*.json"))


def schema(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((generate.HERE / "json" / f"{kind}.json").read_text())
    return found


@pytest.mark.parametrize("data", EVENTS, ids=lambda data: str(data.type))
def test_each_example_validates_and_is_written_again_byte_for_byte(data: Any) -> None:
    text = (EXAMPLES / f"{data.type}.json").read_text()
    event = reader(data).validate_json(text)
    assert json.loads(encode(event)) == json.loads(text)
    jsonschema.validate(json.loads(text), schema(data.type), format_checker=jsonschema.FormatChecker())


WRITTEN = [data for data in EVENTS if data not in {*RELEASES, *ACKS}]
"""By Herald; what labs and agencies write is passed on as it came."""


@pytest.mark.parametrize("data", WRITTEN, ids=lambda data: str(data.type))
def test_what_is_stamped_without_validation_has_the_same_bytes_as_the_event(data: Any) -> None:
    event = reader(data).validate_json((EXAMPLES / f"{data.type}.json").read_text())
    stamped = event.data.stamped(
        cause="c", ordinal=0, source="/services/windows", time=datetime(2027, 3, 1, tzinfo=UTC)
    )
    assert encode(reader(data).validate_json(encode(stamped))) == encode(stamped)


@pytest.mark.parametrize("path", COUNTEREXAMPLES, ids=lambda path: path.stem)
def test_each_counterexample_is_refused_for_the_reason_expected(path: Path) -> None:
    case = json.loads(path.read_text())
    kinds = ACKS if "acknowledgement" in case["event"]["type"] else RELEASES
    with pytest.raises(ValidationError) as refused:
        reader(*kinds).validate_json(json.dumps(case["event"]))
    problems = explain(refused.value, Event, *kinds)
    expected = case["expect"]
    assert any((p.field or "") == expected["field"] and expected["rule"] in p.message for p in problems), problems


def test_nothing_generated_has_drifted() -> None:
    assert drift(generate.generated(), generate.there()) == []
    assert [path.name for path, text in examples().items() if path.read_text() != text] == []


def test_internal_readers_tolerate_fields_that_are_added_later() -> None:
    for data in EVENTS:
        event = json.loads((EXAMPLES / f"{data.type}.json").read_text())
        event["data"]["added_later"] = {"anything": [1, 2]}
        assert reader(data).validate_json(json.dumps(event), extra="ignore").type == data.type
        with pytest.raises(ValidationError):
            reader(data).validate_json(json.dumps(event))


def test_every_topic_states_its_key_partitions_cleanup_writers_and_readers() -> None:
    for topic in TOPICS:
        assert topic.key
        assert topic.writers
        assert topic.readers
        assert topic.retention is not None or topic.cleanup == "compact"


@pytest.mark.parametrize("data", EVENTS, ids=lambda data: str(data.type))
def test_what_is_generated_now_breaks_no_reader_of_the_committed_version(data: Any) -> None:
    assert breaking(schema(data.type), generate.event_schema(data)) == []


BASE: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 9}, "b": {"enum": ["x", "y"]}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"required": ["a", "b"]}, "/b: is required now"),
        ({"properties": {"a": BASE["properties"]["a"]}}, "/b: was taken away"),
        ({"properties": BASE["properties"] | {"a": {"type": "integer"}}}, "/a: type is 'integer', was 'string'"),
        ({"properties": BASE["properties"] | {"a": {"type": "string", "maxLength": 5}}}, "/a: maxLength is tighter"),
        ({"properties": BASE["properties"] | {"b": {"enum": ["x"]}}}, "/b: values were taken away"),
    ],
)
def test_a_change_that_breaks_readers_is_noticed(change: dict[str, Any], said: str) -> None:
    assert breaking(BASE, BASE | change) == [said]


def test_a_field_that_herald_always_wrote_stays_always_there() -> None:
    written = {name: value for name, value in BASE.items() if name != "additionalProperties"}
    assert breaking(written, written | {"required": []}) == ["/a: may be missing now"]
    assert breaking(BASE, BASE | {"required": []}) == []  # a lab's event: what it always sent may be left out


def test_who_reads_what_herald_writes_lets_fields_be_added_and_a_lab_learns_of_a_misspelt_one() -> None:
    for data in EVENTS:
        event = json.loads((EXAMPLES / f"{data.type}.json").read_text())
        event["data"]["added_later"] = 1
        errors = list(jsonschema.Draft202012Validator(schema(data.type)).iter_errors(event))
        assert bool(errors) == (data in (*RELEASES, *ACKS)), data.type


def test_a_field_that_may_be_left_out_breaks_nobody() -> None:
    assert breaking(BASE, BASE | {"properties": BASE["properties"] | {"c": {"type": "string"}}}) == []
