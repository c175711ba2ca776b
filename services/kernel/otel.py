"""Exports what is decided and done as OpenTelemetry spans, over OTLP/HTTP. Needs the extra `otel`.

An event's span has the ids that stand in its `traceparent`, so what many processes export is one trace, and what was
decided again after a crash is no second one. A tracer draws ids, so spans are made without one. FastStream's middleware
traces handlers, by Kafka headers: a shard has neither. No attribute holds more than ids.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, Decision, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from schemas.command import Effect
from schemas.trace import is_sampled
from services.kernel.draft import Told
from services.kernel.span_encoding import Encoder, Row, Shape
from services.kernel.span_outbox import Limits, Outbox
from services.kernel.span_resource import resource_of
from services.kernel.spans import CLOSE_SECONDS

_ATTEMPT = Shape("attempt", SpanKind.CLIENT, ("herald.subject",), about={})
_FAILED = Shape("attempt", SpanKind.CLIENT, ("herald.subject", "error.type"), about={}, failed=True)


class Spans:
    """The spans of one process. They go to the OTLP endpoint of the environment, unless `send` takes the requests.

    Raises SettingsError.
    """

    def __init__(self, service: str, send: Callable[[bytes], bool] | None = None) -> None:
        resource = resource_of(service)
        self._encoder = Encoder(resource)
        self._send = send or _Exporter().send
        self._asked = _asking(TracerProvider(resource=resource, shutdown_on_exit=False).sampler)
        self._shapes: dict[tuple[str, str], Shape] = {}
        self._outbox = Outbox(self._sent, Limits.load())

    def decided(self, told: Iterable[Told], began: int, ended: int) -> None:
        """Events that are committed now. Times in nanoseconds since 1970."""
        rows = []
        for one in told:
            event, own = one.event, str(one.event.traceparent)
            if self._keeps(own, one.continues):
                link = one.sent if one.sent != one.continues else None
                shape, values = self._shape(event.type, one.topics[0]), (event.id, event.subject or "")
                rows.append(Row(shape, own, one.continues, link, values, began, ended))
        self._outbox.put(rows)

    def attempted(self, key: str, effect: Effect, outcome: Any, began: int, ended: int) -> None:
        """An effect that has ended; its `failure`, if it has one, says that it failed."""
        own, continues, failure = effect.traceparent, effect.continues, getattr(outcome, "failure", None)
        if self._keeps(own, continues):
            shape, values = (_FAILED, (key, failure)) if failure else (_ATTEMPT, (key,))
            self._outbox.put([Row(shape, own, continues, None, values, began, ended)])

    def close(self) -> None:
        """Gives away what waits, bounded in time: a collector that is down holds up nobody."""
        self._outbox.close(CLOSE_SECONDS)

    def _keeps(self, own: str, continues: str | None) -> bool:
        if not is_sampled(own):
            return False
        return self._asked is None or self._asked(own[3:35], None if continues is None else is_sampled(continues))

    def _shape(self, name: str, topic: str) -> Shape:
        """There are as many as types of events and topics."""
        found = self._shapes.get((name, topic))
        if found is None:
            about = {"messaging.system": "kafka", "messaging.destination.name": topic}
            given = ("messaging.message.id", "herald.subject")
            found = self._shapes[name, topic] = Shape(name, SpanKind.PRODUCER, given, about=about)
        return found

    def _sent(self, rows: Sequence[Row]) -> bool:
        return self._send(self._encoder.request(rows))


class _Exporter(OTLPSpanExporter):
    """Sends what is encoded already, by the exporter's settings and with its patience."""

    def send(self, request: bytes) -> bool:
        """Whether the collector has taken it. The client's name is private: its version is pinned for that."""
        return self._client.export(request).success


def _asking(sampler: Sampler) -> Callable[[str, bool | None], bool] | None:
    """Whether a trace is kept, by its id and whether its parent is; None: as its flag says, whatever the sampler."""
    if sampler in (ALWAYS_ON, DEFAULT_ON):
        return None

    @lru_cache(maxsize=1024)  # spans of one trace come together
    def kept(trace: str, parent_is: bool | None) -> bool:
        number, around = int(trace, 16), Context()
        if parent_is is not None:
            flags = TraceFlags(TraceFlags.SAMPLED if parent_is else TraceFlags.DEFAULT)
            parent = SpanContext(number, 1, is_remote=True, trace_flags=flags)
            around = set_span_in_context(NonRecordingSpan(parent), around)
        return sampler.should_sample(around, number, "").decision is Decision.RECORD_AND_SAMPLE

    return kept
