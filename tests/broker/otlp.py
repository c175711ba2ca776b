"""A collector of OpenTelemetry on loopback: it takes spans over OTLP/HTTP and keeps them."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True, slots=True)
class Taken:
    """One span. `parent` and `links` are span ids; no parent: empty. `times`: in nanoseconds since 1970."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, str]
    times: tuple[int, int]
    failed: bool


@dataclass(slots=True)
class Collector:
    """What came."""

    port: int = 0
    _bodies: list[bytes] = field(default_factory=list)
    _read: list[Taken] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """Settings with which a process exports to it, soon."""
        endpoint = f"http://127.0.0.1:{self.port}"
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    @property
    def spans(self) -> list[Taken]:
        """All that came. Requests are read here, not where they are taken: that would take time from who exports."""
        while self._bodies:
            self._read += _spans(self._bodies.pop(0))
        return self._read

    def of(self, trace: str) -> list[Taken]:
        """The spans of a trace."""
        return [span for span in self.spans if span.trace == trace]

    async def until(self, enough: Callable[[], bool], seconds: float = 60) -> None:
        """Waits until enough has come."""
        until = time.monotonic() + seconds
        while not enough():
            assert time.monotonic() < until, sorted((one.service, one.name) for one in self.spans)
            await asyncio.sleep(0.05)

    def take(self, body: bytes) -> bool:
        """One request's."""
        self._bodies.append(body)
        return True


def _spans(body: bytes) -> Iterator[Taken]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        named = {one.key: one.value.string_value for one in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Taken(
                    service=named["service.name"],
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    links=tuple(link.span_id.hex() for link in span.links),
                    attributes={one.key: one.value.string_value for one in span.attributes},
                    times=(span.start_time_unix_nano, span.end_time_unix_nano),
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                )


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector, for as long as the context lasts."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.take(self.rfile.read(int(self.headers["content-length"])))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
