"""What deliveries keeps of an endpoint: what is pending there, and how the endpoint is."""

from collections.abc import Mapping
from functools import cached_property

from schemas.alert import AlertIssued
from schemas.command import Effect, State, Timer
from schemas.delivery import Abandon, NoticeRequested
from schemas.endpoint import EndpointId
from schemas.envelope import Emitted
from schemas.topics import INTERNAL_BYTES, STATE_BYTES
from schemas.trace import carried
from schemas.values import Instant, ParticipantId, Strict, Traceparent, Uuid

AT_ONCE = 8
"""Attempts at one endpoint at the same time; one while it is being probed."""

BACKLOG_BYTES = 2 * INTERNAL_BYTES
"""So much may wait at one endpoint: any alert that could be asked for where nothing else waits. All of it is written at
each change, so a larger backlog would cost the other endpoints of the shard their time."""

MOST_BYTES = STATE_BYTES - 8 * 1024
"""So much fits into the one record that the state is, beside what else stands in it and around it."""

DIGEST_BYTES = 256 * 1024
"""So much that was held goes together, or one alert that is larger: many a server takes no more than 1 MB at once."""

_GROWTH = 400
"""Bytes of a pending one beside its alert or notice, with its id, once everything about it is known."""


class Pending(Strict):
    """An alert or a notice that the endpoint has not taken yet. Exactly one of both is there.

    `held`: it had to wait, so it goes with others that had to; `together`: the id of their digest. `attempt`: the one
    being made. `ending`: should that fail, there is no other. `traceparent`: of the request.
    """

    alert: AlertIssued | None = None
    notice: NoticeRequested | None = None
    requested_at: Instant
    next_at: Instant
    attempts: int = 0
    held: bool = False
    together: Uuid | None = None
    attempt: Uuid | None = None
    ending: Abandon | None = None
    traceparent: Traceparent | None = None

    @cached_property
    def text(self) -> str:
        """As JSON. All that is pending is written at each change, and most of it is as it was."""
        return self.model_dump_json(exclude_none=True)

    @cached_property
    def release_id(self) -> str | None:
        """The release that an alert is about: at one endpoint its messages go one after the other."""
        return self.alert.release_id if self.alert is not None else None

    @cached_property
    def weight(self) -> int:
        """Bytes that it takes in the state's record at most, whatever comes of it (what it says is constant)."""
        return len(self.model_dump_json(include={"alert", "notice"}, exclude_none=True).encode()) + _GROWTH


class EndpointState(State):
    """One endpoint. `failures` is a series without success; `probe_at` is set while the breaker is open.

    `paid_until` is the throttle's account: each message moves it on by its share of a minute.
    """

    agency: ParticipantId
    endpoint: EndpointId
    pending: dict[Uuid, Pending] = {}  # noqa: RUF012 - pydantic copies defaults
    failures: int = 0
    failing_since: Instant | None = None
    probe_at: Instant | None = None
    disabled_at: Instant | None = None
    paused_until: Instant | None = None
    paid_until: Instant | None = None
    throttled_until: Instant | None = None

    def continues(self, emitted: Emitted, sent: str | None) -> str | None:
        """What came of a delivery continues its attempt, or the request: other deliveries have other traces."""
        one = self.pending.get(str(getattr(emitted, "delivery_id", None) or getattr(emitted, "notice_id", None)))
        if one is None:
            return sent
        return one.traceparent if one.attempt is None else carried(one.traceparent, one.attempt)

    def encoded(self) -> bytes:
        about = self.model_dump_json(exclude_none=True, exclude={"pending"})
        pending = ",".join(f'"{name}":{one.text}' for name, one in self.pending.items())
        return f'{about[:-1]},"pending":{{{pending}}}}}'.encode()

    def next_timer(self) -> Timer | None:
        if making(self.pending) >= (AT_ONCE if self.probe_at is None else 1):
            return None
        could = waiting(self.pending)
        if not could:
            return None
        name, first = min(could.items(), key=lambda pair: (pair[1].next_at, pair[0]))
        due = max(at for at in (first.next_at, self.paused_until, self.probe_at, self.throttled_until) if at)
        return Timer(due, "try", f"{name}/{first.attempts}/{self.failures}")

    def effects(self) -> tuple[Effect, ...]:
        attempts: dict[str, list[Pending]] = {}
        for one in self.pending.values():
            if one.attempt is not None:
                attempts.setdefault(one.attempt, []).append(one)
        return tuple(Effect(attempt, tuple(about), about[0].traceparent) for attempt, about in attempts.items())


def making(pending: Mapping[str, Pending]) -> int:
    """How many attempts are being made."""
    return len({one.attempt for one in pending.values() if one.attempt is not None})


def waiting(pending: Mapping[str, Pending]) -> dict[str, Pending]:
    """What could be tried as soon as its time has come: nothing else of its release is being tried."""
    busy = {one.release_id for one in pending.values() if one.attempt is not None} - {None}
    return {name: one for name, one in pending.items() if one.attempt is None and one.release_id not in busy}
