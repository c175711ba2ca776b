"""The W3C trace context of an event: one trace from a statement to everything that follows from it.

Nothing here is drawn: the same event has the same `traceparent`, however often it is decided. Source: W3C Trace Context
(level 2), 2.2; the CloudEvents extension "distributed tracing".
"""

import re

from schemas.values import TRACEPARENT

_VERSION = "00"
_FORM = re.compile(TRACEPARENT)
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


def carried(continues: str | None, event_id: str) -> str:
    """The `traceparent` of an event: the trace of what led to it, and a span of its own: the last 16 digits of its id.

    Where nothing led to it, or nothing that is traced, it begins a trace, whose id is the event's own, without dashes.
    `event_id` is a UUID.
    """
    own = event_id.replace("-", "")
    if continues is None:
        return f"{_VERSION}-{own}-{own[16:]}-01"
    return f"{_VERSION}-{continues[3:35]}-{own[16:]}-{'01' if is_sampled(continues) else '00'}"


def is_sampled(traceparent: str) -> bool:
    """Whether who began the trace wants it to be kept."""
    return int(traceparent[53:55], 16) & 1 == 1


def usable(said: object) -> str | None:
    """What somebody gave as a `traceparent`; None where it names no trace: who gets such a one begins anew (3.2.2)."""
    if not isinstance(said, str) or not _FORM.fullmatch(said):
        return None
    return None if said[:2] == "ff" or said[3:35] == _NO_TRACE or said[36:52] == _NO_SPAN else said
