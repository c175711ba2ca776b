"""`asyncapi.yaml` is what AsyncAPI's own parser takes, and what Herald writes is what it says."""

import json

import yaml

from schemas.generate import HERE
from schemas.topics import EVENTS, TOPICS
from tests.contract.channels import DOCUMENT, channel, differences, document
from tests.contract.examples import life
from tests.npm import node, package

PARSE = """
    const { Parser } = require("@asyncapi/parser")
    const { texts, source } = JSON.parse(require("fs").readFileSync(0))
    const parse = async (text) => {
        const { document, diagnostics } = await new Parser().parse(text, { source })
        return {
            said: diagnostics.map((one) => `${one.path.join("/")}: ${one.message}`),
            channels: document ? document.channels().all().map((one) => one.address()) : [],
            messages: document ? document.components().messages().all().map((one) => one.name()) : [],
            operations: document ? document.operations().all().map((one) => `${one.action()} ${one.id()}`) : [],
        }
    }
    Promise.all(texts.map(parse)).then((found) => console.log(JSON.stringify(found)))
"""


def test_the_official_parser_has_nothing_to_say_against_it_and_finds_each_topic_event_and_role() -> None:
    text = DOCUMENT.read_text()
    broken = yaml.safe_load(text)
    broken["operations"]["lab.sends.releases.lab"]["action"] = "shout"
    asked = {"texts": [text, yaml.safe_dump(broken)], "source": str(DOCUMENT)}
    found, of_broken = json.loads(node(package("@asyncapi/parser", "3.6.6"), PARSE, json.dumps(asked)))
    assert found["said"] == []
    assert any(said.startswith("operations/lab.sends.releases.lab/action") for said in of_broken["said"])
    assert found["channels"] == [f"herald.{topic.name}" for topic in TOPICS]
    assert set(found["messages"]) == {data.type for data in EVENTS}
    assert {"send lab.sends.releases.lab", "receive agency.receives.alerts.agency"} <= set(found["operations"])
    assert len(found["operations"]) == sum(len(topic.writers) + len(topic.readers) for topic in TOPICS)


def test_every_record_of_a_life_is_what_is_described_of_its_topic() -> None:
    world = life()
    seen = set()
    for topic in world.logs:
        for event in world.events(topic) if not topic.startswith(("state.", "dead-letters", "registry")) else ():
            seen.add(event["type"])
            assert differences(topic, event) == []
    assert len(seen) > 20
    assert differences("windows", {"type": "herald.alert.issued.v1"}) != []


def test_kafka_is_asked_for_what_is_described_of_a_topic() -> None:
    for topic in TOPICS:
        described = channel(topic.name.replace("{", "").replace("}", ""))["bindings"]["kafka"]
        settings = topic.config()
        assert described["topicConfiguration"]["cleanup.policy"] == [settings["cleanup.policy"]]
        assert str(described["topicConfiguration"]["retention.ms"]) == settings["retention.ms"]
        assert str(described["topicConfiguration"]["max.message.bytes"]) == settings["max.message.bytes"]
        assert described["partitions"] == (1 if topic.single else 6)


def test_the_page_shows_every_event_with_an_example_and_every_topic() -> None:
    page = (HERE.parent / "docs" / "events.md").read_text()
    for data in EVENTS:
        shown = page.partition(f"### `{data.type}`\n")[2].partition("\n### ")[0]
        assert f'"type": "{data.type}"' in shown
        assert str(data.__doc__).strip() in shown
    assert all(f"| `{topic.name.replace('{', '<').replace('}', '>')}` |" in page for topic in TOPICS)
    assert len(document()["channels"]) == len(TOPICS)
