"""The requests of Kafka's second transaction protocol, which aiokafka does not write (KIP-890, Kafka 4.0 and later)."""

from io import BytesIO
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

FINALIZED_FEATURES = 2
"""The tag of ApiVersions' answer under which the levels that the whole cluster has agreed on stand."""


class Tagged(Schema):
    """Fields, and after them what a newer broker may add (KIP-482): it is passed over."""

    def encode(self, item: Any) -> bytes:
        """The fields, and nothing added."""
        fields: bytes = super().encode(item)
        return fields + bytes(1)

    def decode(self, data: BytesIO) -> Any:
        """The fields."""
        found = super().decode(data)
        TaggedFields.decode(data)
        return found


_TEXT = CompactString("utf-8")


class ProduceResponse(Response):
    """Version 12."""

    API_KEY, API_VERSION = 0, 12
    SCHEMA = Schema(
        ("topics", CompactArray(Tagged(("topic", _TEXT), ("partitions", CompactArray(Tagged(
            ("partition", Int32),
            ("error_code", Int16),
            ("offset", Int64),
            ("timestamp", Int64),
            ("log_start_offset", Int64),
            ("record_errors", CompactArray(Tagged(("batch_index", Int32), ("message", _TEXT)))),
            ("error_message", _TEXT),
        )))))),
        ("throttle_time_ms", Int32),
    )  # fmt: skip


class ProduceFrame(RequestStruct):
    """Version 12: what it writes to becomes part of the transaction without having been named before."""

    API_KEY, API_VERSION, FLEXIBLE_VERSION = 0, 12, True
    RESPONSE_TYPE = ProduceResponse
    SCHEMA = Tagged(
        ("transactional_id", _TEXT),
        ("required_acks", Int16),
        ("timeout", Int32),
        ("topics", CompactArray(Tagged(("topic", _TEXT), ("partitions", CompactArray(Tagged(
            ("partition", Int32), ("messages", CompactBytes),
        )))))),
    )  # fmt: skip


class Produce(Request[ProduceFrame]):
    """Batches for partitions of one broker, in a transaction."""

    API_KEY = 0
    required_acks = -1

    def __init__(self, transactional_id: str, timeout_ms: int, topics: list[tuple[str, list[tuple[int, bytes]]]]):
        self._fields = transactional_id, self.required_acks, timeout_ms, topics

    def build(self, request_struct_class: type[ProduceFrame]) -> ProduceFrame:
        """As it goes over the wire."""
        return request_struct_class(*self._fields)


class EndTxnResponse(Response):
    """Version 5: with the epoch of the next transaction."""

    API_KEY, API_VERSION = 26, 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16), ("producer_id", Int64), ("producer_epoch", Int16)
    )


class EndTxnFrame(RequestStruct):
    """Version 5."""

    API_KEY, API_VERSION, FLEXIBLE_VERSION = 26, 5, True
    RESPONSE_TYPE = EndTxnResponse
    SCHEMA = Tagged(
        ("transactional_id", _TEXT), ("producer_id", Int64), ("producer_epoch", Int16), ("transaction_result", Boolean)
    )


class EndTxn(Request[EndTxnFrame]):
    """Commits or aborts."""

    API_KEY = 26

    def __init__(self, transactional_id: str, producer_id: int, producer_epoch: int, commit: bool):
        self._fields = transactional_id, producer_id, producer_epoch, commit

    def build(self, request_struct_class: type[EndTxnFrame]) -> EndTxnFrame:
        """As it goes over the wire."""
        return request_struct_class(*self._fields)


class ApiVersionsResponse(Response):
    """Version 3."""

    API_KEY, API_VERSION = 18, 3
    SCHEMA = Schema(
        ("error_code", Int16),
        ("api_keys", CompactArray(Tagged(("api_key", Int16), ("min_version", Int16), ("max_version", Int16)))),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )


class ApiVersionsFrame(RequestStruct):
    """Version 3."""

    API_KEY, API_VERSION, FLEXIBLE_VERSION = 18, 3, True
    RESPONSE_TYPE = ApiVersionsResponse
    SCHEMA = Tagged(("client_software_name", _TEXT), ("client_software_version", _TEXT))

    def parse_response_header(self, read_buffer: BytesIO | bytes) -> ResponseHeader_v0:
        """Has no tags, so that clients that are too new understand it."""
        return ResponseHeader_v0.decode(read_buffer)


class ApiVersions(Request[ApiVersionsFrame]):
    """What a broker knows, and the levels of features that its cluster has agreed on."""

    API_KEY = 18

    def build(self, request_struct_class: type[ApiVersionsFrame]) -> ApiVersionsFrame:
        """As it goes over the wire."""
        return request_struct_class("herald", "1")


_FEATURES = CompactArray(Tagged(("name", _TEXT), ("max_level", Int16), ("min_level", Int16)))


def finalized(answer: Any) -> dict[str, int]:
    """The levels of features in an ApiVersionsResponse."""
    value = answer.tags.get(FINALIZED_FEATURES)
    return {name: level for name, level, _ in _FEATURES.decode(BytesIO(value)) or []} if value else {}


def known(answer: Any) -> bool:
    """Whether who gave an ApiVersionsResponse takes these requests: a proxy may know fewer than its cluster."""
    newest = {key: most for key, _, most in answer.api_keys}
    return all(newest.get(frame.API_KEY, -1) >= frame.API_VERSION for frame in (ProduceFrame, EndTxnFrame))
