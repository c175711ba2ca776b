"""What one shard shows of itself, and counts of what it commits."""

from collections import Counter
from datetime import datetime
from functools import partial

from schemas.receipt import ReceiptRefused
from services.kernel import catalogue
from services.kernel.clock import Clock
from services.kernel.draft import Draft
from services.kernel.first_look import FIRST_LOOK
from services.kernel.gauges import Part, StateGauges
from services.kernel.inbox import Inbox
from services.kernel.lag import Lag
from services.kernel.ledger import Ledger
from services.kernel.observe import log
from services.kernel.service import Committed, Service, exemplar

_OF_OPEN_SHARDS = (
    catalogue.KEYS,
    catalogue.TIMERS,
    catalogue.DEAD_LETTERS_OPEN,
    catalogue.LAG_RECORDS,
    catalogue.LAG_SECONDS,
    catalogue.TIMER_NEXT_DUE,
    catalogue.TIMER_OVERDUE_SECONDS,
)
"""Gone while the shard is not open: what it showed last is nobody's word."""


class Measures:
    """Of one shard."""

    def __init__(self, service: Service, number: int, clock: Clock) -> None:
        self.lag = Lag(clock)
        self._service = service
        self._number = number
        self._label = str(number)
        self._clock = clock
        self._gauges = StateGauges()
        self._next_due: datetime | None = None

    def owned(self, is_ours: bool) -> None:
        """Whether this process has the shard."""
        catalogue.SHARD_OWNED.labels(self._label).set(is_ours)
        catalogue.SHARD_OPEN.labels(self._label).set(0)

    def opened(self, ledger: Ledger, inbox: Inbox, parts: dict[str, tuple[Part, ...]], seconds: float) -> None:
        """It works; `parts` are its keys'. Its lag is asked for at each scrape, from another thread.

        One that stands still shows it too.
        """
        self._ledger = ledger
        catalogue.RESTORE_SECONDS.observe(seconds)
        self._gauges.open(parts)
        catalogue.SHARD_OPEN.labels(self._label).set(1)
        catalogue.LAG_RECORDS.labels(self._label).set_function(lambda: self.lag.records(inbox, ledger.draft.items))
        catalogue.LAG_SECONDS.labels(self._label).set_function(lambda: self.lag.seconds(inbox, ledger.draft.items))
        catalogue.TIMER_OVERDUE_SECONDS.labels(self._label).set_function(self._overdue)
        self._stand()

    def closed(self) -> None:
        """It does not work, for now or for good."""
        catalogue.SHARD_OPEN.labels(self._label).set(0)
        for gauge in _OF_OPEN_SHARDS:
            gauge.remove(self._label)
        self._gauges.close()

    def reopens(self, error: Exception) -> None:
        """It goes back to what is committed."""
        catalogue.SHARD_REOPENED.labels(type(error).__name__).inc()

    def aborted(self) -> None:
        """A transaction came to nothing, or nobody knows."""
        catalogue.TRANSACTIONS.labels("aborted").inc()

    def committed(self, draft: Draft, records: int, seconds: float, taken: dict[str, int]) -> None:
        """What was drafted stands in Kafka, and is the ledger's state. `taken`: when each topic took it."""
        trace_id = next((event.trace_id for event in draft.events if event.trace_id is not None), None)
        catalogue.TRANSACTIONS.labels("committed").inc()
        catalogue.TRANSACTION_SECONDS.observe(seconds, exemplar(trace_id))
        catalogue.TRANSACTION_RECORDS.observe(records)
        for topic, count in Counter(item.topic.partition(".")[0] for item in draft.items).items():
            catalogue.CONSUMED.labels(topic).inc(count)
        for kind, count in Counter(event.data.type for event in draft.events).items():
            catalogue.EMITTED.labels(kind).inc(count)
        for refused in (event.data for event in draft.events if isinstance(event.data, ReceiptRefused)):
            for reason in refused.reasons:
                catalogue.REFUSED.labels(reason.code).inc()
        for letter in draft.dead_letters:
            FIRST_LOOK.then(catalogue.DEAD_LETTERS.labels(letter["reason"]).inc)
            log.error("dead_letter", shard=self._number, **letter)
        for outcome in draft.replays:
            catalogue.REPLAYS.labels(outcome).inc()
            log.info("dead_letter_replayed", shard=self._number, outcome=outcome)
        for lateness in draft.lateness:
            FIRST_LOOK.then(partial(catalogue.TIMER_LATENESS_SECONDS.observe, lateness))
        if self._service.counts is not None and draft.events:
            times = {topic: self._clock.at(ms) for topic, ms in taken.items()}
            self._service.counts(Committed(draft.events, self._clock.now(), times))
        for key, summary in draft.summaries.items():
            self._gauges.changed(key, summary.parts)
        self._stand()

    def _stand(self) -> None:
        ledger, timer = self._ledger, self._ledger.next_timer()
        self._next_due = timer[1].due_at if timer is not None else None
        catalogue.KEYS.labels(self._label).set(len(ledger.states))
        catalogue.TIMERS.labels(self._label).set(len(ledger.timers))
        catalogue.DEAD_LETTERS_OPEN.labels(self._label).set(len(ledger.positions.buried) + len(ledger.timers.parked))
        if self._next_due is not None:
            catalogue.TIMER_NEXT_DUE.labels(self._label).set(self._next_due.timestamp())
        else:
            catalogue.TIMER_NEXT_DUE.remove(self._label)

    def _overdue(self) -> float:
        due_at = self._next_due
        return max(0.0, (self._clock.now() - due_at).total_seconds()) if due_at is not None else 0.0
