"""Whether what is decided and asked is exported as spans. Off, nothing of it is imported."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.kernel.settings import SettingsError

if TYPE_CHECKING:
    from services.kernel.otel import Spans
    from services.kernel.request_spans import RequestSpans

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
CLOSE_SECONDS = 2.0
"""So long a process that ends waits for its last spans to be taken."""


def spans_of(service: str) -> "Spans | None":
    """Where spans of this service go; None unless OpenTelemetry's own setting says where to. Raises SettingsError."""
    if not os.environ.get(ENDPOINT):
        return None
    with _extra():
        from services.kernel.otel import Spans  # noqa: PLC0415 - an extra, that is not there where nobody wants it
    return Spans(service)


def request_spans_of(service: str) -> "RequestSpans | None":
    """The same of requests."""
    if not os.environ.get(ENDPOINT):
        return None
    with _extra():
        from services.kernel.request_spans import RequestSpans  # noqa: PLC0415 - likewise
    return RequestSpans(service)


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        said = f"{ENDPOINT} is set and {error.name} is not installed: pip install 'herald-early-access[otel]', or unset"
        raise SettingsError(said) from None
