"""Whether what is decided is exported as spans. Off, nothing of it is imported."""

import os
from typing import TYPE_CHECKING

from services.kernel.settings import SettingsError

if TYPE_CHECKING:
    from services.kernel.otel import Spans

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def spans_of(service: str) -> "Spans | None":
    """Where spans of this service go; None unless OpenTelemetry's own setting says where to. Raises SettingsError."""
    if not os.environ.get(ENDPOINT):
        return None
    try:
        from services.kernel.otel import Spans  # noqa: PLC0415 - an extra, that is not there where nobody wants it
    except ImportError as error:
        said = f"{ENDPOINT} is set and {error.name} is not installed: pip install 'herald-early-access[otel]', or unset"
        raise SettingsError(said) from None
    return Spans(service)
