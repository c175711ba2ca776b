"""The catalogue of the kernel's metrics. Labels are bounded: topics by family, types and reasons by their codes."""

from prometheus_client import Counter, Gauge, Histogram

CONSUMED = Counter("herald_events_consumed_total", "Records decided, by input.", ["topic"])
EMITTED = Counter("herald_events_emitted_total", "Events written, by type.", ["type"])
REFUSED = Counter("herald_events_refused_total", "Reasons given in refusals, by code.", ["reason"])
ABANDONED = Counter(
    "herald_deliveries_abandoned_total",
    "Deliveries that will not be tried again, by channel and why.",
    ["channel", "reason"],
)
DEAD_LETTERS = Counter("herald_dead_letters_total", "Records kept as dead letters, by reason.", ["reason"])
REPLAYS = Counter("herald_replays_total", "Dead letters given back by an operator, by outcome.", ["outcome"])
TRANSACTIONS = Counter("herald_transactions_total", "Transactions, by outcome.", ["outcome"])
TRANSACTION_SECONDS = Histogram("herald_transaction_seconds", "From begin to commit, in seconds.")
TRANSACTION_RECORDS = Histogram(
    "herald_transaction_records", "Records written in a transaction.", buckets=(2, 5, 10, 20, 50, 100, 200, 500, 1000)
)
LAG_RECORDS = Gauge("herald_lag_records", "Records fetched and not yet decided, by shard.", ["shard"])
SHARD_OWNED = Gauge("herald_shard_owned", "1 while this process has the shard assigned.", ["shard"])
SHARD_OPEN = Gauge("herald_shard_open", "1 while the shard is restored and works.", ["shard"])
SHARD_REOPENED = Counter("herald_shard_reopened_total", "Reopenings from what is committed, by error.", ["error"])
RESTORE_SECONDS = Histogram("herald_restore_seconds", "From assignment to open, in seconds.")
KEYS = Gauge("herald_keys", "Keys with state, by shard.", ["shard"])
TIMERS = Gauge("herald_timers", "Timers waiting, by shard.", ["shard"])
TIMER_LATENESS_SECONDS = Histogram(
    "herald_timer_lateness_seconds",
    "From due to fired, in seconds of Herald's time.",
    buckets=(0.1, 0.5, 1, 5, 10, 60, 600, 3600, 86400),
)
REGISTRY_VERSION = Gauge("herald_registry_version", "The registry version that this process follows.")
UNREADABLE = Gauge("herald_partitions_unreadable", "Assigned partitions that cannot be read at present.")
