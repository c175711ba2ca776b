"""One endpoint while something is decided about it. Pure: it changes its own copy and collects events."""

from datetime import datetime, timedelta
from typing import Any

from schemas.delivery import (
    PERMANENT,
    Abandon,
    DeliveryCancelled,
    DeliveryRequested,
    DeliveryRetried,
    EndpointDisabled,
    EndpointFailing,
    EndpointPaused,
    EndpointRecovered,
    Failure,
    NoticeRequested,
)
from schemas.endpoint import Endpoint, Webhook
from schemas.envelope import Emitted, derived_id
from schemas.registry import Registry
from services.deliveries.letter import Attempt
from services.deliveries.outcome import Outcomes
from services.deliveries.quiet import quiet_until
from services.deliveries.schedule import (
    BURST,
    DISABLED_AFTER,
    FAILURES_TO_OPEN,
    LONGEST_SILENCE,
    exhausted,
    patience,
    probe_in,
    retry_in,
)
from services.deliveries.state import (
    AT_ONCE,
    BACKLOG_BYTES,
    DIGEST_BYTES,
    MOST_BYTES,
    EndpointState,
    Pending,
    making,
    waiting,
)

_ABOUT_THE_MESSAGE: frozenset[Failure] = frozenset({"refused", "throttled", "internal"})
"""They say nothing against the endpoint: it is there, and answers."""

_ASKS_FOR_TIME: frozenset[Failure] = frozenset({"throttled", "server-error"})
"""What `Retry-After` comes with speaks of the whole endpoint, not of one message (RFC 9110 10.2.3, RFC 6585 4)."""


class Desk:
    """What is pending, and how the endpoint is."""

    def __init__(self, state: EndpointState, registry: Registry, now: datetime, sent: str | None = None) -> None:
        self._sent = sent
        self.events: list[Emitted] = []
        self._was = state
        self._pending = dict(state.pending)
        self._update: dict[str, Any] = {}
        self._registry = registry
        self._now = now
        self._agency = registry.agencies.get(state.agency)
        self._endpoint: Endpoint | None = self._agency.endpoints.get(state.endpoint) if self._agency else None
        self._say = Outcomes(state, self._endpoint.channel if self._endpoint else None, now)

    def kept(self) -> EndpointState | None:
        """What is to be kept of it: nothing of one that is gone, once nothing is pending there."""
        if not self._pending and self._endpoint is None:
            return None
        return self._was.model_copy(update={**self._update, "pending": self._pending})

    # ---- what is asked

    def request(self, asked: DeliveryRequested) -> None:
        """An alert. It replaces older ones of its release, and is itself replaced by a newer one."""
        alert = asked.alert
        if asked.delivery_id in self._pending:
            return
        one = Pending(alert=alert, requested_at=asked.requested_at, next_at=self._now, traceparent=self._sent)
        same = {name: p for name, p in self._pending.items() if p.release_id == alert.release_id}
        if any(p.alert and p.alert.sequence > alert.sequence for p in same.values()):
            self.events.append(self._say.abandoned(asked.delivery_id, one, "superseded"))
            return
        for name in same:
            self._end(name, "superseded")
        # An older one that is being tried may still be taken, and must not stay the last that is heard of its release.
        if reason := self._unusable or self._overfull(one, MOST_BYTES if same else BACKLOG_BYTES):
            self.events.append(self._say.abandoned(asked.delivery_id, one, reason))
            return
        # What replaces news that could not wait cannot wait either.
        until = self._held_until(asked) if all(p.held for p in same.values()) else None
        if until is not None or self._is_paused:
            one = one.model_copy(update={"next_at": until or self._now, "held": True})
        self._pending[asked.delivery_id] = one

    def request_notice(self, asked: NoticeRequested) -> None:
        """A notice. A test is tried at once, whatever is known of the endpoint; of daily lines the last one counts."""
        if asked.notice == "alive":
            for earlier in filter(self._is_line, list(self._pending)):
                self._end(earlier, "superseded")
        one = Pending(notice=asked, requested_at=asked.requested_at, next_at=self._now, traceparent=self._sent)
        if asked.notice == "test" and self._endpoint is not None:
            one = one.model_copy(update={"attempts": 1, "attempt": derived_id("attempt", asked.notice_id, "1")})
        if reason := self._overfull(one, MOST_BYTES) or (self._unusable if one.attempt is None else None):
            self.events.append(self._say.abandoned(asked.notice_id, one, reason))
            return
        self._pending[asked.notice_id] = one

    def cancel(self, asked: DeliveryCancelled) -> None:
        """What is pending of a release, up to a sequence."""
        for name, one in list(self._pending.items()):
            if one.alert and one.release_id == asked.release_id and one.alert.sequence <= asked.sequence:
                self._end(name, asked.reason)

    def retry(self, asked: DeliveryRetried) -> None:
        """A pending delivery, now, even if the breaker is open."""
        if one := self._pending.get(asked.delivery_id):
            self._pending[asked.delivery_id] = one.model_copy(update={"next_at": self._now})
            self._update["throttled_until"] = None
            if self._was.probe_at is not None:
                self._update["probe_at"] = self._now

    def pause(self, asked: EndpointPaused) -> None:
        """Nothing is tried until then; what waits goes together afterwards."""
        self._update["paused_until"] = asked.until
        for name, one in self._pending.items():
            if one.attempt is None and not one.attempts:
                self._pending[name] = one.model_copy(update={"held": True})

    def resume(self) -> None:
        """An operator's word that the endpoint is well: no pause, no breaker, not disabled."""
        self._update |= {"paused_until": None, "disabled_at": None, "throttled_until": None}
        self._update |= {"failures": 0, "failing_since": None, "probe_at": None}
        self._try_all_again()

    # ---- what came of it

    def settle(self, attempt_id: str, attempt: Attempt) -> None:
        """An attempt has ended. One that nobody knows any more was settled before."""
        made = {name: one for name, one in self._pending.items() if one.attempt == attempt_id}
        if not made:
            return
        if attempt.failure is None:
            for name, one in made.items():
                del self._pending[name]
                self.events.append(self._say.succeeded(name, one, attempt))
            self._recover()
            return
        if attempt.failure not in _ABOUT_THE_MESSAGE:
            self._count_failure(attempt.failure)
        if attempt.failure in _ASKS_FOR_TIME and attempt.retry_after:
            wait = min(patience(attempt.retry_after), LONGEST_SILENCE)
            self._update["throttled_until"] = max(self._now + wait, self._get("throttled_until") or self._now)
        for name, one in made.items():
            self._failed(name, one, attempt, attempt.failure)
        if self._get("disabled_at") is not None:
            self._abandon_all("disabled")

    def _failed(self, name: str, one: Pending, attempt: Attempt, failure: Failure) -> None:
        ending: Abandon | None = one.ending or ("refused" if failure in PERMANENT else None)
        if ending is not None or (one.notice is not None and one.notice.notice == "test"):
            del self._pending[name]
            self.events.append(self._say.abandoned(name, one, ending or "refused", attempt))
            return
        retry_at = self._now + retry_in(one.together or name, one.attempts, attempt.retry_after)
        self._pending[name] = one.model_copy(update={"attempt": None, "next_at": retry_at})
        if one.alert is not None:
            self.events.append(self._say.failed(name, one, attempt, failure, retry_at, exhausted(one.attempts)))

    def _count_failure(self, failure: Failure) -> None:
        if self._was.probe_at is not None and self._now < self._was.probe_at:
            return  # it began before the breaker opened
        failures, since = self._was.failures + 1, self._was.failing_since or self._now
        self._update |= {"failures": failures, "failing_since": since}
        if failures >= FAILURES_TO_OPEN:
            self._update["probe_at"] = self._now + probe_in(failures)
            if self._was.probe_at is None:
                self.events.append(EndpointFailing(**self._say.where, at=self._now, since=since, reason=failure))
        if self._now - since >= DISABLED_AFTER and self._was.disabled_at is None:
            self._update["disabled_at"] = self._now
            self.events.append(EndpointDisabled(**self._say.where, at=self._now, since=since))
            self._tell_others()

    def _recover(self) -> None:
        """After a success nothing waits for the sake of the endpoint any more: the throttle spreads what is due."""
        if self._was.probe_at is not None and self._was.failing_since is not None:
            since = self._was.failing_since
            self.events.append(EndpointRecovered(**self._say.where, at=self._now, since=since))
            self._try_all_again()
        self._update |= {"failures": 0, "failing_since": None, "probe_at": None, "disabled_at": None}

    def _try_all_again(self) -> None:
        for name, one in self._pending.items():
            if one.attempts and one.attempt is None:
                self._pending[name] = one.model_copy(update={"next_at": min(one.next_at, self._now)})

    def _tell_others(self) -> None:
        """Says on the agency's other channels that this endpoint is disabled; on its other endpoints if it has none."""
        others = self._agency.endpoints if self._agency else {}
        there = {name: other for name, other in others.items() if name != self._was.endpoint}
        mine = self._endpoint.channel if self._endpoint else None
        elsewhere = [name for name, other in there.items() if other.channel != mine] or list(there)
        for name in elsewhere:
            about = f"{self._was.agency}/{self._was.endpoint}/{self._now.isoformat()}"
            self.events.append(
                NoticeRequested(
                    agency=self._was.agency,
                    endpoint=name,
                    notice_id=derived_id("notice", "disabled", about, name),
                    notice="disabled",
                    about=self._was.endpoint,
                    requested_at=self._now,
                )
            )

    # ---- what begins

    def begin(self) -> None:
        """Begins every attempt whose time has come, as far as breaker, throttle and pause let it."""
        if self._unusable == "removed":
            self._abandon_all("removed")
            return
        if self._endpoint is None or self._is_paused:
            return
        probe_at, throttled_until = self._get("probe_at"), self._get("throttled_until")
        if any(until is not None and self._now < until for until in (probe_at, throttled_until)):
            return
        free = (AT_ONCE if probe_at is None else 1) - making(self._pending)
        if free <= 0:
            return  # before all that waits is put in order: it may be much
        for group in self._due()[:free]:
            if self._is_line(group[0]) and not (isinstance(self._endpoint, Webhook) and self._endpoint.alive_at):
                self._end(group[0], "moot")
                continue
            if not self._pay(self._endpoint.per_minute):
                return
            self._attempt(group)

    def _due(self) -> list[list[str]]:
        """What is due, the oldest first; what was held goes together, as far as a server may be asked to take it."""
        could = waiting(self._pending)
        due = sorted((one.next_at, name) for name, one in could.items() if one.next_at <= self._now)
        if not any(could[name].held for _, name in due):
            return [[name] for _, name in due]
        groups: dict[str, list[str]] = {}
        digest, weight = "", 0
        for _, name in due:
            one = self._pending[name]
            if one.together is None and one.held and not one.attempts and one.alert:
                weight += one.weight
                if not digest or weight > DIGEST_BYTES:
                    digest, weight = f"held {name}", one.weight
                groups.setdefault(digest, []).append(name)
            else:
                groups.setdefault(one.together or name, []).append(name)
        return list(groups.values())

    def _attempt(self, group: list[str]) -> None:
        made = self._pending[group[0]].attempts + 1
        together = self._pending[group[0]].together
        if len(group) > 1 and together is None:
            together = derived_id("digest", *group)
        attempt = derived_id("attempt", together or group[0], str(made), self._now.isoformat())
        update = {"attempts": made, "attempt": attempt, "together": together}
        for name in group:
            self._pending[name] = self._pending[name].model_copy(update=update)

    def _pay(self, per_minute: int) -> bool:
        """The throttle (GCRA): whether one more message may go now."""
        share = timedelta(minutes=1) / per_minute
        account = max(self._get("paid_until") or self._now, self._now)
        allowed_at = account - share * (BURST - 1)
        if allowed_at > self._now:
            self._update["throttled_until"] = allowed_at
            return False
        self._update |= {"paid_until": account + share, "throttled_until": None}
        return True

    # ---- how it is

    @property
    def _unusable(self) -> Abandon | None:
        if self._endpoint is None:
            return "removed"
        return "disabled" if self._get("disabled_at") is not None else None

    def _overfull(self, one: Pending, most: int) -> Abandon | None:
        """Why it cannot be kept beside what is pending, which may weigh so many bytes with it."""
        weight = one.weight + sum(each.weight for each in self._pending.values())
        return "backlog-full" if weight > most else None

    @property
    def _is_paused(self) -> bool:
        until = self._get("paused_until")
        return until is not None and self._now < until

    def _get(self, name: str) -> Any:
        return self._update[name] if name in self._update else getattr(self._was, name)

    def _held_until(self, asked: DeliveryRequested) -> datetime | None:
        """The end of quiet hours, for what may wait; never beyond what it speaks of."""
        if not asked.routine or self._agency is None:
            return None
        until = quiet_until(self._agency.quiet_hours, self._agency.time_zone, self._now)
        if until is None or asked.speaks_of is None:
            return until
        return min(until, asked.speaks_of) if asked.speaks_of > self._now else None

    def _end(self, name: str, reason: Abandon) -> None:
        one = self._pending[name]
        if one.attempt is not None:
            self._pending[name] = one.model_copy(update={"ending": reason})
            return
        del self._pending[name]
        self.events.append(self._say.abandoned(name, one, reason))

    def _is_line(self, name: str) -> bool:
        """Whether it is a daily line: it says of its own day that all is well."""
        notice = self._pending[name].notice
        return notice is not None and notice.notice == "alive"

    def _abandon_all(self, reason: Abandon) -> None:
        for name in list(self._pending):
            self._end(name, reason)
