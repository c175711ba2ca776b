"""`asyncapi.yaml`: topics, events and who sends and receives them, as AsyncAPI 3.1 describes it.

Channels are the topics' catalogue, messages its events, operations the catalogue's writers and readers: of a lab's or
an agency's own client, of the door, and of each service.
"""

import json
import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from schemas.envelope import CONTENT_TYPE, Data
from schemas.topics import ACKS, EVENTS, RECEIPTS, RELEASES, TOPICS, Topic

PREFIX = "herald."
PARTITIONS = 6
"""Of internal topics, where nobody has said otherwise."""

_CLOUD_EVENT = CONTENT_TYPE.partition(";")[0]
_PARTICIPANTS = {
    "lab": "a lab's id",
    "agency": "an agency's id",
    "participant": "a lab's or an agency's id",
    "service": "a service's name",
}
_SASL = {
    "scramSha512": "a user for each participant and service, made by `herald credentials issue`",
    "scramSha256": "for a Kafka that offers no SCRAM-SHA-512",
    "plain": "for a Kafka that asks for it; over TLS alone",
}
_ABOUT = (
    "Herald carries a lab's early-access announcements to the agencies they concern. It is voluntary: nothing here "
    "approves, licenses or holds up a release. Events are CloudEvents 1.0 in structured JSON; `id` is the same "
    "when an event comes again, and `traceparent` (W3C) runs from a statement through all that follows from it. Read "
    "with `isolation.level=read_committed`."
)


def document(examples: dict[str, str]) -> dict[str, Any]:
    """The description; `examples` are the texts of one event of each type."""
    own = {"host": "kafka.herald.example:9093", "protocol": "kafka-secure"}
    return {
        "asyncapi": "3.1.0",
        "id": "urn:herald:events",
        "info": {
            "title": "Herald",
            "version": version("herald-early-access"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": _CLOUD_EVENT,
        "servers": {
            "secured": own
            | {
                "description": "each participant reaches the topics that are theirs, and sees no others",
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SASL],
            },
            "embedded": {
                "host": "127.0.0.1:9092",
                "protocol": "kafka",
                "description": "on one machine, as `herald up` starts it",
            },
        },
        "channels": {channel_id(topic): _channel(topic) for topic in TOPICS},
        "operations": dict(_operations()),
        "components": {
            "messages": {data.type: _message(data, examples[data.type]) for data in EVENTS},
            "messageTraits": {
                "cloudEvent": {
                    "contentType": _CLOUD_EVENT,
                    "headers": {
                        "type": "object",
                        "description": "Kafka headers",
                        "properties": {"content-type": {"type": "string", "const": CONTENT_TYPE}},
                    },
                }
            },
            "securitySchemes": {name: {"type": name, "description": about} for name, about in _SASL.items()},
        },
    }


def channel_id(topic: Topic) -> str:
    """`releases.{lab}` → `releases.lab`."""
    return re.sub(r"[{}]", "", topic.name)


def _channel(topic: Topic) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "cleanup.policy": [topic.cleanup],
        "retention.ms": int(topic.config()["retention.ms"]),
        "max.message.bytes": topic.max_bytes,
    }
    kafka = {
        "partitions": 1 if topic.single else PARTITIONS,
        "replicas": 1,
        "topicConfiguration": settings,
        "bindingVersion": "0.5.0",
    }
    found: dict[str, Any] = {
        "address": PREFIX + topic.name,
        "description": f"{topic.about}; keyed by: {topic.key}",
        "messages": {data.type: {"$ref": f"#/components/messages/{data.type}"} for data in topic.events},
        "bindings": {"kafka": kafka},
    }
    if named := re.findall(r"{([a-z]+)}", topic.name):
        found["parameters"] = {name: {"description": _PARTICIPANTS[name]} for name in named}
    return found


def _message(data: type[Data], example: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": data.type,
        "summary": (data.__doc__ or "").strip(),
        "payload": {"$ref": f"json/{data.type}.json"},
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "examples": [{"name": "example", "payload": json.loads(example)}],
    }
    if data in (*RELEASES, *ACKS):
        found["correlationId"] = {"location": "$message.payload#/id", "description": "its receipt names it"}
    elif data in RECEIPTS and "event_id" in data.model_fields:
        found["correlationId"] = {"location": "$message.payload#/data/event_id", "description": "of the event answered"}
    return found


def _operations() -> Iterable[tuple[str, dict[str, Any]]]:
    for topic in TOPICS:
        for who in topic.writers:
            yield f"{who}.sends.{channel_id(topic)}", _operation(topic, who, "send", "writes")
        for who in topic.readers:
            yield f"{who}.receives.{channel_id(topic)}", _operation(topic, who, "receive", "reads")


def _operation(topic: Topic, who: str, action: str, does: str) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{channel_id(topic)}"}
    found: dict[str, Any] = {
        "action": action,
        "channel": channel,
        "summary": f"{who} {does}: {topic.about}",
        "tags": [{"name": who}],
    }
    if action == "send" and topic.name in {"releases.{lab}", "acks.{agency}"}:
        found["reply"] = {"channel": {"$ref": "#/channels/receipts.participant"}}
    return found
