"""Who exports a span, in OpenTelemetry's words."""

from importlib.metadata import version

from opentelemetry.sdk.resources import Resource


def resource_of(service: str) -> Resource:
    """A process of Herald, with what `OTEL_RESOURCE_ATTRIBUTES` adds."""
    named = {"service.name": f"herald-{service}", "service.namespace": "herald"}
    return Resource.create(named | {"service.version": version("herald-early-access")})
