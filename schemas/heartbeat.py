"""The sign of life of a whole Herald: quiet is not the same as broken."""

from typing import ClassVar

from pydantic import Field

from schemas.envelope import Data
from schemas.values import Instant


class HeartbeatBeat(Data):
    """Herald is there, and the watchdog's release last went the whole way at `last_success_at`."""

    type: ClassVar[str] = "herald.heartbeat.beat.v1"

    beat_at: Instant
    next_by: Instant = Field(description="when none has come by then, Herald or the way to it is broken")
    last_success_at: Instant | None = Field(
        default=None, description="when a release last went from lab to agency and an answer back; absent: never yet"
    )

    def subject(self) -> str:
        return "heartbeat"

    def topics(self) -> tuple[str, ...]:
        return ("heartbeat",)
