"""What is exported is what the SDK's own exporter would say."""

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from services.kernel.span_encoding import Encoder, Row, Shape

RESOURCE = Resource({"service.name": "herald-windows", "service.version": "1.0"})
OWN, PARENT, OTHER = (f"00-{digit * 32}-{digit * 16}-01" for digit in "123")


def context(traceparent: str) -> SpanContext:
    """As the SDK holds it."""
    return SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_remote=True)


def test_a_request_is_that_of_the_exporter_of_the_sdk() -> None:
    event = Shape("happened", SpanKind.PRODUCER, ("id", "subject"), about={"system": "kafka"})
    failed = Shape("attempt", SpanKind.CLIENT, ("subject",), about={}, failed=True)
    rows = [
        Row(event, OWN, PARENT, OTHER, ("e-1", "s"), 1, 2),
        Row(event, OTHER, None, None, ("e-2", ""), 3, 4),
        Row(failed, PARENT, OWN, None, ("desk",), 5, 6),
    ]
    spans = [
        ReadableSpan(
            name=name,
            context=context(row.own),
            parent=context(row.continues) if row.continues else None,
            resource=RESOURCE,
            attributes=attributes,
            links=[Link(context(row.link))] if row.link else [],
            kind=kind,
            status=Status(status),
            start_time=row.began,
            end_time=row.ended,
            instrumentation_scope=InstrumentationScope("herald"),
        )
        for row, name, attributes, kind, status in (
            (
                rows[0],
                "happened",
                {"system": "kafka", "id": "e-1", "subject": "s"},
                SpanKind.PRODUCER,
                StatusCode.UNSET,
            ),
            (rows[1], "happened", {"system": "kafka", "id": "e-2", "subject": ""}, SpanKind.PRODUCER, StatusCode.UNSET),
            (rows[2], "attempt", {"subject": "desk"}, SpanKind.CLIENT, StatusCode.ERROR),
        )
    ]
    assert ExportTraceServiceRequest.FromString(Encoder(RESOURCE).request(rows)) == encode_spans(spans)
