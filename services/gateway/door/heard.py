"""The trace that a request is part of: that of its own span where spans are exported, else as its header says."""

from fastapi import Request

from schemas.trace import usable


def heard(request: Request) -> dict[str, str]:
    """What an event takes over from the request that brings it."""
    spans = request.app.state.spans
    trace = spans.current() if spans is not None else usable(request.headers.get("traceparent"))
    return {"traceparent": trace} if trace is not None else {}
