"""Exports requests as OpenTelemetry spans, as FastAPI's own instrumentation makes them. Needs the extra `otel`."""

import threading

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import get_current_span

from services.kernel.span_resource import resource_of
from services.kernel.spans import CLOSE_SECONDS

_SECRET = ("url.path", "url.query")
"""A path may hold an acknowledgement link's token, a query a calendar's."""


class RequestSpans:
    """The spans of one process that takes requests. They go to the OTLP endpoint of the environment."""

    def __init__(self, service: str) -> None:
        self.provider = TracerProvider(resource=resource_of(service), shutdown_on_exit=False)
        self.provider.add_span_processor(_Discreet(OTLPSpanExporter()))

    def current(self) -> str | None:
        """The `traceparent` of what is being done now."""
        now = get_current_span().get_span_context()
        return f"00-{now.trace_id:032x}-{now.span_id:016x}-{now.trace_flags:02x}" if now.is_valid else None

    def close(self) -> None:
        """Gives away what waits, bounded in time: a collector that is down holds up nobody."""
        closing = threading.Thread(target=self.provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class _Discreet(BatchSpanProcessor):
    """Keeps out of spans what the HTTP framework puts there."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for name in _SECRET:
            if name in (span.attributes or {}):
                span.set_attribute(name, "REDACTED")
        super().on_start(span, parent_context)
