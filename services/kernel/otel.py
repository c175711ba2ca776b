"""Exports what is decided and done as OpenTelemetry spans, over OTLP/HTTP. Needs the extra `otel`.

An event's span has the ids that stand in its `traceparent`, so what many processes export is one trace, and what was
decided again after a crash is no second one. A tracer draws ids, so spans are made without one. FastStream's middleware
traces handlers, by Kafka headers: a shard has neither. No attribute holds more than ids.
"""

import threading
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from schemas.command import Effect
from schemas.trace import is_sampled
from services.kernel.ledger import Told

CLOSE_SECONDS = 2.0
"""So long a process that ends waits for its last spans to be taken."""

_SECRET = ("url.path", "url.query")
"""A path may hold an acknowledgement link's token, a query a calendar's."""

_SCOPE = InstrumentationScope("herald")
_UNSET, _ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


class Spans:
    """The spans of one process. They go to the OTLP endpoint of the environment, unless there is another exporter."""

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        named = {"service.name": f"herald-{service}", "service.namespace": "herald"}
        resource = Resource.create(named | {"service.version": version("herald-early-access")})
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._processor = _Discreet(exporter or OTLPSpanExporter())
        self.provider.add_span_processor(self._processor)

    def decided(self, told: Iterable[Told], began: int, ended: int) -> None:
        """Events that are committed now. Times in nanoseconds since 1970."""
        for one in told:
            event = one.event
            about = {
                "messaging.system": "kafka",
                "messaging.destination.name": one.topics[0],
                "messaging.message.id": event.id,
                "herald.subject": event.subject or "",
            }
            links = [Link(_context(one.sent))] if one.sent is not None and one.sent != one.continues else []
            own = str(event.traceparent)
            self._end(event.type, own, one.continues, SpanKind.PRODUCER, about, (began, ended), links=links)

    def attempted(self, key: str, effect: Effect, outcome: Any, began: int, ended: int) -> None:
        """An effect that has ended; its `failure`, if it has one, says that it failed."""
        about, status = {"herald.subject": key}, _UNSET
        if failure := getattr(outcome, "failure", None):
            about["error.type"], status = failure, _ERROR
        self._end("attempt", effect.traceparent, effect.continues, SpanKind.CLIENT, about, (began, ended), status)

    def current(self) -> str | None:
        """The `traceparent` of what is being done now."""
        now = get_current_span().get_span_context()
        return f"00-{now.trace_id:032x}-{now.span_id:016x}-{now.trace_flags:02x}" if now.is_valid else None

    def close(self) -> None:
        """Gives away what waits, bounded in time: a collector that is down holds up nobody."""
        closing = threading.Thread(target=self.provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    def _end(
        self,
        name: str,
        traceparent: str,
        continues: str | None,
        kind: SpanKind,
        about: dict[str, str],
        times: tuple[int, int],
        status: Status = _UNSET,
        links: Sequence[Link] = (),
    ) -> None:
        own, parent, around = _context(traceparent), None, Context()
        if continues is not None:
            parent = _context(continues)
            around = set_span_in_context(NonRecordingSpan(parent), around)
        sampled = self.provider.sampler.should_sample(around, own.trace_id, name, kind, about, links)
        if sampled.decision is Decision.RECORD_AND_SAMPLE:
            self._processor.on_end(
                ReadableSpan(
                    name=name,
                    context=own,
                    parent=parent,
                    resource=self.provider.resource,
                    attributes=about,
                    links=links,
                    kind=kind,
                    status=status,
                    start_time=times[0],
                    end_time=times[1],
                    instrumentation_scope=_SCOPE,
                )
            )


class _Discreet(BatchSpanProcessor):
    """Keeps out of spans what the HTTP framework puts there."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for name in _SECRET:
            if name in (span.attributes or {}):
                span.set_attribute(name, "REDACTED")
        super().on_start(span, parent_context)


def _context(traceparent: str) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if is_sampled(traceparent) else TraceFlags.DEFAULT)
    return SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_remote=True, trace_flags=flags)
