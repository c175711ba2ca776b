"""Shards, transactions and what flows through them, by service."""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.panel import AT_ALL, course, heat, stat, table
from deploy.dashboards.query import STEP, Query, grown, in_range, or_none, quantiles

CHOSEN = '{service=~"$service"}'

BOARD = Board(
    "kafka",
    "Kafka and shards",
    "Shards, lag, transactions, timers and dead letters, by service. Real ones and drills.",
    [
        Row(
            "Shards",
            [
                stat(
                    "Shards without owner",
                    "Over all services.",
                    Query("sum(clamp_min(service:herald_shards_without_owner, 0))", "shards"),
                    steps=AT_ALL,
                    runbook=["HeraldShardWithoutOwner"],
                ),
                stat(
                    "Unreadable partitions",
                    "Assigned partitions that cannot be read at present.",
                    Query("sum(herald_partitions_unreadable)", "partitions"),
                    steps=AT_ALL,
                    runbook=["HeraldPartitionUnreadable"],
                ),
                stat(
                    "Reopenings in the range",
                    "Shards that went back to what is committed.",
                    in_range("herald_shard_reopened_total", CHOSEN),
                    steps=(("orange", 1.0),),
                    runbook=["HeraldShardsReopen"],
                ),
                stat(
                    "Aborted transactions in the range",
                    "Nothing of them is seen by a reader of committed records.",
                    in_range("herald_transactions_total", '{service=~"$service", outcome="aborted"}'),
                    steps=(("orange", 1.0),),
                ),
                stat(
                    "Open dead letters",
                    "Neither replayed, dropped nor healed.",
                    Query("sum(service:herald_dead_letters_open:sum)", "letters"),
                    steps=AT_ALL,
                    runbook=["HeraldDeadLetters", "HeraldEdgeDeadLetters"],
                ),
                stat(
                    "Records waiting",
                    "Not yet decided, over all services.",
                    Query("sum(service:herald_lag_records:sum)", "records"),
                    steps=(("orange", 500.0),),
                    runbook=["HeraldLagGrowing"],
                ),
                course(
                    "Shards that are open",
                    "Restored and at work, by service, beside how many there are in all.",
                    Query(f"sum by (service) (herald_shard_open{CHOSEN})", "{{service}}"),
                    Query(f"max by (service) (herald_shards{CHOSEN})", "{{service}} in all"),
                    runbook=["HeraldShardWithoutOwner"],
                ),
                course(
                    "Shards by process",
                    "Who has them; after a restart they move back and forth once.",
                    Query(
                        f"sum by (service, instance) (herald_shard_owned{CHOSEN})",
                        "{{service}} {{instance}}",
                    ),
                ),
                course(
                    "Reopened",
                    "By error.",
                    Query(
                        or_none(
                            f"sum by (service, error) {grown('herald_shard_reopened_total', CHOSEN)}",
                            "service",
                            "error",
                        ),
                        "{{service}} {{error}}",
                    ),
                    stacked=True,
                    runbook=["HeraldShardsReopen"],
                ),
                course(
                    "Restoring",
                    "From assignment to open, since each process began: most is over before Prometheus knows of it.",
                    *quantiles("herald_restore_seconds", "service", CHOSEN, since_start=True),
                    unit="s",
                ),
                course("Keys", "With state.", Query(f"sum by (service) (herald_keys{CHOSEN})", "{{service}}")),
                table(
                    "Registry",
                    "The version that each service follows.",
                    Query(f"max by (service) (herald_registry_version{CHOSEN})", "version"),
                    runbook=["HeraldRegistryVersionsApart"],
                ),
            ],
        ),
        Row(
            "Lag",
            [
                course(
                    "Lag in seconds",
                    "How long the oldest record has waited, by service and shard.",
                    Query(f"max by (service, shard) (herald_lag_seconds{CHOSEN})", "{{service}} {{shard}}"),
                    unit="s",
                    width=12,
                    steps=(("red", 60.0),),
                    runbook=["HeraldLag"],
                ),
                course(
                    "Lag in records",
                    "Offsets not yet decided, markers of transactions among them.",
                    Query(f"sum by (service, shard) (herald_lag_records{CHOSEN})", "{{service}} {{shard}}"),
                    width=12,
                    runbook=["HeraldLagGrowing"],
                ),
            ],
        ),
        Row(
            "Flow",
            [
                course(
                    "Records decided",
                    "A second, by input.",
                    Query(
                        or_none(
                            f"sum by (service, topic) (rate(herald_events_consumed_total{CHOSEN}{STEP}))",
                            "service",
                            "topic",
                        ),
                        "{{service}} {{topic}}",
                    ),
                    unit="cps",
                ),
                course(
                    "Events written",
                    "A second, by type.",
                    Query(
                        or_none(f"sum by (type) (rate(herald_events_emitted_total{CHOSEN}{STEP}))", "type"),
                        "{{type}}",
                    ),
                    unit="cps",
                ),
                course(
                    "Refused",
                    "Reasons given in receipts. A refusal is an answer, not a fault.",
                    Query(
                        or_none(f"sum by (reason) {grown('herald_events_refused_total', CHOSEN)}", "reason"),
                        "{{reason}}",
                    ),
                    stacked=True,
                ),
                course(
                    "Transactions",
                    "A second, by outcome.",
                    Query(
                        f"sum by (outcome) (rate(herald_transactions_total{CHOSEN}{STEP}))",
                        "{{outcome}}",
                    ),
                    unit="cps",
                ),
                heat(
                    "From begin to commit",
                    "How long transactions take.",
                    "herald_transaction_seconds",
                    CHOSEN,
                ),
                course(
                    "Records in a transaction",
                    "Events, state and positions.",
                    *quantiles("herald_transaction_records", "service", CHOSEN),
                ),
                course(
                    "Spans",
                    "Given to a collector, by outcome: dropped is what waited and was too much.",
                    Query(f"sum by (outcome) {grown('herald_spans_total', CHOSEN)}", "{{outcome}}"),
                    stacked=True,
                ),
            ],
        ),
        Row(
            "Timers",
            [
                course(
                    "Waiting", "By service.", Query(f"sum by (service) (herald_timers{CHOSEN})", "{{service}}"), width=6
                ),
                table(
                    "Next due",
                    "In Herald's time.",
                    Query(
                        or_none(
                            f"min by (service) (herald_timer_next_due_timestamp_seconds{CHOSEN}) * 1000",
                            "service",
                        ),
                        "due",
                    ),
                    unit="dateTimeAsIso",
                    zero="nothing waits",
                    width=6,
                ),
                course(
                    "Overdue",
                    "How long the next one has been due and has not fired, in Herald's time.",
                    Query(f"max by (service) (herald_timer_overdue_seconds{CHOSEN})", "{{service}}"),
                    unit="s",
                    width=6,
                    steps=(("red", 60.0),),
                    runbook=["HeraldTransitionLate"],
                ),
                heat(
                    "Lateness",
                    "From due to fired, in Herald's time.",
                    "herald_timer_lateness_seconds",
                    CHOSEN,
                    width=6,
                    runbook=["HeraldTransitionLate"],
                ),
            ],
        ),
        Row(
            "Dead letters",
            [
                course(
                    "Open",
                    "By service.",
                    Query(f"sum by (service) (herald_dead_letters_open{CHOSEN})", "{{service}}"),
                    steps=AT_ALL,
                    runbook=["HeraldDeadLetters", "HeraldEdgeDeadLetters"],
                ),
                course(
                    "Set aside",
                    "By reason.",
                    Query(f"sum by (reason) (increase(herald_dead_letters_total{CHOSEN}{STEP}))", "{{reason}}"),
                    stacked=True,
                    runbook=["HeraldDeadLetters"],
                ),
                course(
                    "Given back",
                    "Replays, by outcome.",
                    Query(f"sum by (outcome) (increase(herald_replays_total{CHOSEN}{STEP}))", "{{outcome}}"),
                    stacked=True,
                ),
            ],
        ),
    ],
)
