"""The catalogue of Herald's metrics: each with its help, unit and labels. docs/for-operators.md is checked against it.

Names end in their unit, a base unit; what has none counts things. Labels are bounded: topics by family, codes, and ids
of participants; never a release, a name or an address, and nothing joins a lab with a window. `exercise` tells drills
from what is real. "Herald's time" is real time unless HERALD_CLOCK__RATE says otherwise.
"""

from itertools import product
from platform import python_version
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.process_collector import ProcessCollector

from schemas.topics import SERVICES
from schemas.values import AlertKind, Disposition
from services.kernel.origin import CAUSES

BOOLEANS = ("false", "true")
DEAD_LETTER_REASONS = ("undecodable", "undecidable", "output_too_large", "timer", "effect", "registry", "not_json")
SPAN_OUTCOMES = ("exported", "failed", "dropped")
REPLAY_OUTCOMES = ("decided", "failed", "refused", "dropped")

disable_created_metrics()  # type: ignore[no-untyped-call]


def boolean(value: bool) -> str:
    """As a label."""
    return str(value).lower()


def counter(name: str, about: str, *labels: str) -> Counter:
    """Counts up until the process ends."""
    return Counter(name, about, labels, registry=None)


GAUGES: dict[str, Gauge] = {}
"""By name."""


def gauge(name: str, about: str, *labels: str) -> Gauge:
    """How it stands."""
    unit = "seconds" if name.endswith("_seconds") else ""
    GAUGES[name] = made = Gauge(name, about, labels, unit=unit, registry=None)
    return made


def seconds(name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    """How long something took. The bounds that rules speak of are among the buckets."""
    return Histogram(name, about, labels, unit="seconds", buckets=buckets, registry=None)


# ---- every process

BUILD = Info("herald_build", "Version of Herald and of Python.", registry=None)
READY = gauge("herald_ready", "1 while /readyz says so.")
CERTIFICATE_EXPIRY = gauge(
    "herald_certificate_expiry_timestamp_seconds",
    "When a certificate file in use ends, the first in it: door, kafka_client, kafka_ca, endpoint.",
    "certificate",
    "agency",
)
REGISTRY_VERSION = gauge("herald_registry_version", "The registry version that this process follows.")

# ---- every service with shards

CONSUMED = counter("herald_events_consumed_total", "Records decided, by input.", "topic")
EMITTED = counter("herald_events_emitted_total", "Events written, by type.", "type")
REFUSED = counter("herald_events_refused_total", "Reasons given in refusals, by code.", "reason")
DEAD_LETTERS = counter("herald_dead_letters_total", "Records kept as dead letters, by reason: look at each.", "reason")
DEAD_LETTERS_OPEN = gauge(
    "herald_dead_letters_open", "Dead letters neither replayed, dropped nor healed, timers among them.", "shard"
)
REPLAYS = counter(
    "herald_replays_total",
    "Dead letters given back, by outcome: decided, failed, refused, dropped.",
    "outcome",
)
TRANSACTIONS = counter("herald_transactions_total", "Transactions, by outcome: committed, aborted.", "outcome")
TRANSACTION_SECONDS = seconds(
    "herald_transaction_seconds",
    "From begin to commit.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
TRANSACTION_RECORDS = Histogram(
    "herald_transaction_records",
    "Records written in a transaction.",
    buckets=(2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
    registry=None,
)
LAG_RECORDS = gauge(
    "herald_lag_records", "Offsets of the inputs not yet decided and committed; looked up every 5 seconds.", "shard"
)
LAG_SECONDS = gauge(
    "herald_lag_seconds", "How long the oldest record of the inputs has waited to be committed, in real time.", "shard"
)
SHARDS = gauge("herald_shards", "Shards that the service has, over all its processes.")
SHARD_OWNED = gauge("herald_shard_owned", "1 while this process has the shard.", "shard")
SHARD_OPEN = gauge("herald_shard_open", "1 while the shard is restored and works.", "shard")
SHARD_REOPENED = counter("herald_shard_reopened_total", "Reopenings from what is committed, by error.", "error")
RESTORE_SECONDS = seconds(
    "herald_restore_seconds", "From assignment to open.", (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
)
KEYS = gauge("herald_keys", "Keys with state.", "shard")
TIMERS = gauge("herald_timers", "Timers waiting.", "shard")
TIMER_NEXT_DUE = gauge(
    "herald_timer_next_due_timestamp_seconds", "When the next timer is due, in Herald's time; none: absent.", "shard"
)
TIMER_OVERDUE_SECONDS = gauge(
    "herald_timer_overdue_seconds", "How long the next timer has been due and has not fired, in Herald's time.", "shard"
)
TIMER_LATENESS_SECONDS = seconds(
    "herald_timer_lateness_seconds",
    "From due to fired, in Herald's time.",
    (0.1, 0.5, 1, 5, 10, 60, 600, 3600, 86400),
)
UNREADABLE = gauge("herald_partitions_unreadable", "Assigned partitions that cannot be read at present.")
SPANS = counter("herald_spans_total", "Spans to a collector, by outcome: exported, failed, dropped.", "outcome")

# ---- windows

WINDOWS = gauge("herald_windows", "Windows as they stand; ended ones for 30 days.", "status", "exercise")

# ---- notifier

ALERTS = counter("herald_alerts_total", "Alerts on agencies' topics, by kind; reminders repeat it.", "kind", "exercise")
ALERT_LATENCY_SECONDS = seconds(
    "herald_alert_latency_seconds",
    "To an alert's commit, in Herald's time: from the lab's statement at the edge, the due time, or the registry.",
    (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400),
    "cause",
    "exercise",
)
ALERT_SKEW_SECONDS = seconds(
    "herald_alert_skew_seconds",
    "Between the first and the last agency told of one change, as their topics took it.",
    (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
    "exercise",
)
ALERTS_UNTAKEN = gauge(
    "herald_alerts_untaken",
    "Alerts that none of the agency's endpoints asked has taken, while another tier is to come.",
    "agency",
    "exercise",
)
ALERTS_UNTAKEN_OLDEST = gauge(
    "herald_alerts_untaken_oldest_timestamp_seconds",
    "When the oldest of these was issued, in Herald's time; without drills.",
    "agency",
)

# ---- deliveries

ATTEMPTS = counter(
    "herald_delivery_attempts_total",
    "Attempts at endpoints, drills and tests among them, by what came of it: taken, or why not.",
    "channel",
    "outcome",
)
ATTEMPT_SECONDS = seconds(
    "herald_delivery_attempt_seconds",
    "How long an attempt took.",
    (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30),
    "channel",
)
DELIVERIES = counter(
    "herald_deliveries_total",
    "Deliveries that have ended: taken, or why abandoned. A removed endpoint has no channel.",
    "channel",
    "outcome",
    "exercise",
)
DELIVERY_LATENCY_SECONDS = seconds(
    "herald_delivery_latency_seconds",
    "From request to taken, in Herald's time; quiet hours and pauses count.",
    (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 43200, 86400),
    "channel",
    "exercise",
)
DELIVERIES_PENDING = gauge(
    "herald_deliveries_pending",
    "Deliveries not yet taken: due, or held by quiet hours or a pause.",
    "agency",
    "waits",
    "exercise",
)
DELIVERIES_PENDING_OLDEST = gauge(
    "herald_deliveries_pending_oldest_timestamp_seconds",
    "When the oldest that is not held was requested, in Herald's time; without drills.",
    "agency",
)
ENDPOINTS = gauge(
    "herald_endpoints",
    "Endpoints that were used, by how they are: working, failing (its breaker is open), disabled.",
    "agency",
    "state",
)

# ---- acknowledgements

ACKNOWLEDGEMENTS = counter("herald_acknowledgements_total", "Answers recorded.", "disposition", "late", "exercise")
OVERDUE = counter(
    "herald_acknowledgements_overdue_total",
    "Due times that passed without an answer: of a tier, the last one (exhausted), or at the closing.",
    "agency",
    "step",
    "exercise",
)
ANSWERS_AWAITED = gauge(
    "herald_answers_awaited",
    "Unanswered alerts by how far the chase is: asked, reminded, escalated, exhausted.",
    "agency",
    "step",
    "exercise",
)

# ---- door

TOKEN_EXPIRY = gauge(
    "herald_token_expiry_timestamp_seconds",
    "When the first of a participant's tokens ends that has not; without those of CIs, which last minutes.",
    "participant",
)

WATCHDOG_LAST_SUCCESS = gauge(
    "herald_watchdog_last_success_timestamp_seconds",
    "When a release of the watchdog last went the whole way; until one has, when it began to watch.",
)
WATCHDOG_ROUND_SECONDS = gauge("herald_watchdog_round_seconds", "How long the last whole round of the watchdog took.")
HEARTBEAT = gauge("herald_heartbeat_timestamp_seconds", "When the last heartbeat was written.")
AUDIT_DIFFERENCES = gauge("herald_audit_differences", "What differed in the last audit on schedule, of seven days.")
AUDIT_LAST_RUN = gauge("herald_audit_last_run_timestamp_seconds", "When the last audit on schedule ended.")

_EVERYWHERE: tuple[MetricWrapperBase, ...] = (BUILD, READY, CERTIFICATE_EXPIRY)
_SHARDED: tuple[MetricWrapperBase, ...] = (
    CONSUMED,
    EMITTED,
    REFUSED,
    DEAD_LETTERS,
    DEAD_LETTERS_OPEN,
    REPLAYS,
    TRANSACTIONS,
    TRANSACTION_SECONDS,
    TRANSACTION_RECORDS,
    LAG_RECORDS,
    LAG_SECONDS,
    SHARDS,
    SHARD_OWNED,
    SHARD_OPEN,
    SHARD_REOPENED,
    RESTORE_SECONDS,
    KEYS,
    TIMERS,
    TIMER_NEXT_DUE,
    TIMER_OVERDUE_SECONDS,
    TIMER_LATENESS_SECONDS,
    UNREADABLE,
    SPANS,
)
_OWN: dict[str, tuple[MetricWrapperBase, ...]] = {
    "gateway": (REGISTRY_VERSION,),
    "announcements": (REGISTRY_VERSION,),
    "windows": (REGISTRY_VERSION, WINDOWS),
    "notifier": (
        REGISTRY_VERSION,
        ALERTS,
        ALERT_LATENCY_SECONDS,
        ALERT_SKEW_SECONDS,
        ALERTS_UNTAKEN,
        ALERTS_UNTAKEN_OLDEST,
    ),
    "deliveries": (
        REGISTRY_VERSION,
        ATTEMPTS,
        ATTEMPT_SECONDS,
        DELIVERIES,
        DELIVERY_LATENCY_SECONDS,
        DELIVERIES_PENDING,
        DELIVERIES_PENDING_OLDEST,
        ENDPOINTS,
    ),
    "acknowledgements": (ACKNOWLEDGEMENTS, OVERDUE, ANSWERS_AWAITED),
    "door": (REGISTRY_VERSION, TOKEN_EXPIRY),
    "watchdog": (WATCHDOG_LAST_SUCCESS, WATCHDOG_ROUND_SECONDS, HEARTBEAT, AUDIT_DIFFERENCES, AUDIT_LAST_RUN),
}
SHOWN: dict[str, tuple[MetricWrapperBase, ...]] = {
    process: (*_EVERYWHERE, *(_SHARDED if process in SERVICES else ()), *own) for process, own in _OWN.items()
}
"""What each process shows: nothing that it does not set, since a zero would be taken for a fact."""

_FROM_ZERO: tuple[tuple[Counter | Histogram, tuple[tuple[str, ...], ...]], ...] = (
    (DEAD_LETTERS, (DEAD_LETTER_REASONS,)),
    (REPLAYS, (REPLAY_OUTCOMES,)),
    (TRANSACTIONS, (("committed", "aborted"),)),
    (SPANS, (SPAN_OUTCOMES,)),
    (ALERTS, (get_args(AlertKind), BOOLEANS)),
    (ALERT_LATENCY_SECONDS, (CAUSES, BOOLEANS)),
    (ALERT_SKEW_SECONDS, (BOOLEANS,)),
    (ACKNOWLEDGEMENTS, (get_args(Disposition), BOOLEANS, BOOLEANS)),
)
"""Counts of few codes, which rules and dashboards look at: they begin with zero, since an increase from nothing is not
seen. Of what is by id, or by one of many codes, a dashboard's query says that there is none, and sees the first."""


def shown_by(process: str, version: str) -> CollectorRegistry:
    """What a process shows on `/metrics`. What rules look at begins with zero: see `first_look`."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    for metric in SHOWN[process]:
        registry.register(metric)
    BUILD.info({"version": version, "python": python_version()})
    for metric, codes in _FROM_ZERO:
        for values in product(*codes):
            metric.labels(*values)
    return registry
