"""What an event goes back to, carried beside it from service to service: what an alert's latency is measured from."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple, get_args

from services.kernel.clock import EPOCH
from services.kernel.dead_letter import Headers

HEADER = "herald-origin"
Cause = Literal["statement", "time", "registry"]
CAUSES: tuple[Cause, ...] = get_args(Cause)


class Origin(NamedTuple):
    """When an edge took a participant's word, or a timer was due, or the log took a version of the registry."""

    cause: Cause
    at: datetime

    def header(self) -> tuple[str, bytes]:
        """As a record carries it: the cause, and milliseconds since 1970 in Herald's time."""
        return HEADER, f"{self.cause} {(self.at - EPOCH) // timedelta(milliseconds=1)}".encode()


def origin_of(headers: Headers) -> Origin | None:
    """What a record of Herald's own carries; None: written before, or by a command."""
    for name, value in headers:
        cause, _, ms = value.decode(errors="replace").partition(" ") if name == HEADER else ("", "", "")
        if cause in CAUSES and ms.lstrip("-").isdigit():
            return Origin(cause, EPOCH + timedelta(milliseconds=int(ms)))
    return None
