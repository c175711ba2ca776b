"""A record that cannot be decided: its raw bytes go to `dead-letters`, with the reason in headers."""

from dataclasses import dataclass

from schemas.envelope import Emitted


@dataclass(frozen=True, slots=True)
class DeadLettered(Emitted):
    """The record at hand is to be kept as a dead letter. `reason` is a code, `detail` one line for people."""

    reason: str
    detail: str

    def topics(self) -> tuple[str, ...]:
        return ("dead-letters",)
