"""What a watch looks at first: is anybody told late, untold or silent, and does every part work?"""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.deliveries import UNTAKEN
from deploy.dashboards.panel import AT_ALL, course, stat, table, text
from deploy.dashboards.query import STEP, Query, or_none, quantiles

REAL = '{exercise="false"}'

BOARD = Board(
    "overview",
    "overview",
    "Is anybody told late, untold or silent, and does every part work? Drills count nowhere but in their own row.",
    [
        Row(
            "Now",
            [
                stat(
                    "Alerts that page",
                    "Rules with severity `page` that fire now: somebody must look.",
                    Query(
                        'sum(ALERTS{alertname=~"Herald.*", alertstate="firing", severity="page"}) or vector(0)',
                        "firing",
                    ),
                    steps=AT_ALL,
                ),
                stat(
                    "Alerts for the day",
                    "Rules with severity `ticket` that fire now: within the day.",
                    Query(
                        'sum(ALERTS{alertname=~"Herald.*", alertstate="firing", severity="ticket"}) or vector(0)',
                        "firing",
                    ),
                    steps=(("orange", 0.001),),
                ),
                stat(
                    "Processes that do not answer",
                    "Of those that Prometheus was told of.",
                    Query('count(up{job="herald"} == 0) or on () (0 * count(up{job="herald"}))', "down"),
                    steps=AT_ALL,
                    runbook=["HeraldServiceDown", "HeraldNotScraped"],
                ),
                stat(
                    "Shards without owner",
                    "Shards that no process works on: what is due there waits.",
                    Query("sum(clamp_min(service:herald_shards_without_owner, 0))", "shards"),
                    steps=AT_ALL,
                    runbook=["HeraldShardWithoutOwner"],
                ),
                stat(
                    "Open dead letters",
                    "Records set aside, neither replayed, dropped nor healed.",
                    Query("sum(service:herald_dead_letters_open:sum)", "letters"),
                    steps=AT_ALL,
                    runbook=["HeraldDeadLetters", "HeraldEdgeDeadLetters"],
                ),
                stat(
                    "Registry versions apart",
                    "Between the newest and the oldest version that a process follows; more than 0 for long is wrong.",
                    Query("max(herald_registry_version) - min(herald_registry_version)", "versions"),
                    steps=AT_ALL,
                    runbook=["HeraldRegistryVersionsApart"],
                ),
                table(
                    "What fires",
                    "Each has an entry by its name in the runbook: what it means, what to look at, what to do.",
                    Query(
                        or_none(
                            "sum by (alertname, severity, service, agency)"
                            ' (ALERTS{alertname=~"Herald.*", alertstate="firing"})',
                            "alertname",
                        ),
                        "firing",
                    ),
                    width=24,
                    height=6,
                ),
            ],
        ),
        Row(
            "Told in time",
            [
                course(
                    "Alerts told late",
                    "Share of alerts that took more than a minute; of 1,000, one may. Empty times: nobody was told.",
                    *(
                        Query(f"herald:alerts_late:ratio_rate{window}", f"over {window}")
                        for window in ("5m", "1h", "6h", "3d")
                    ),
                    unit="percentunit",
                    steps=(("orange", 0.001), ("red", 0.0144)),
                    runbook=["HeraldAlertsLateFast", "HeraldAlertsLateSlowly"],
                ),
                course(
                    "From cause to alert",
                    "From the lab's statement, the due time or the registry to the alert on the agency's topic.",
                    *quantiles("herald_alert_latency_seconds", "cause", REAL),
                    unit="s",
                    steps=(("red", 60.0),),
                    runbook=["HeraldAlertLate"],
                ),
                course(
                    "First to last agency told",
                    "How far apart agencies were told of one change.",
                    *quantiles("herald_alert_skew_seconds", chosen=REAL),
                    unit="s",
                    steps=(("red", 10.0),),
                    runbook=["HeraldAgenciesToldApart"],
                ),
                UNTAKEN,
                course(
                    "Agencies that stay silent",
                    "Alerts whose every tier was asked without an answer.",
                    Query(or_none("agency:herald_answers_exhausted:sum", "agency"), "{{agency}}"),
                    steps=AT_ALL,
                    runbook=["HeraldAgencySilent"],
                ),
                course(
                    "Windows",
                    "As they stand; ended ones for 30 days.",
                    Query(or_none(f"sum by (status) (herald_windows{REAL})", "status"), "{{status}}"),
                ),
            ],
        ),
        Row(
            "Every part",
            [
                course(
                    "Ready processes",
                    "By service; a service with none does nothing.",
                    Query("sum by (service) (herald_ready)", "{{service}}"),
                    runbook=["HeraldNotReady"],
                ),
                course(
                    "Lag",
                    "How long the oldest record has waited to be decided.",
                    Query("service:herald_lag_seconds:max", "{{service}}"),
                    unit="s",
                    steps=(("red", 60.0),),
                    runbook=["HeraldLag"],
                ),
                course(
                    "Overdue timers",
                    "How long the next timer has been due and has not fired, in Herald's time.",
                    Query("service:herald_timer_overdue_seconds:max", "{{service}}"),
                    unit="s",
                    steps=(("red", 60.0),),
                    runbook=["HeraldTransitionLate"],
                ),
                table(
                    "Certificates end",
                    "Those in use, the first first.",
                    Query(
                        or_none(
                            "min by (certificate, agency) (herald_certificate_expiry_timestamp_seconds) * 1000",
                            "certificate",
                        ),
                        "ends",
                    ),
                    unit="dateTimeAsIso",
                    zero="none in use",
                    runbook=["HeraldCertificateExpiring", "HeraldCertificateEnds"],
                ),
                table(
                    "Tokens end",
                    "The first of each participant.",
                    Query(
                        or_none("min by (participant) (herald_token_expiry_timestamp_seconds) * 1000", "participant"),
                        "ends",
                    ),
                    unit="dateTimeAsIso",
                    zero="none issued",
                    runbook=["HeraldTokenExpiring"],
                ),
                table(
                    "Versions",
                    "Processes by the version of Herald and of Python that they run.",
                    Query("count by (service, version, python) (herald_build_info)", "processes"),
                ),
            ],
        ),
        Row(
            "Drills",
            [
                course(
                    "Alerts of drills",
                    "An exercise goes the whole way, and counts into nothing above.",
                    Query(
                        f'sum by (kind) (increase(herald_alerts_total{{exercise="true"}}{STEP}))',
                        "{{kind}}",
                    ),
                    stacked=True,
                ),
                course(
                    "Answers to drills",
                    "By disposition.",
                    Query(
                        f'sum by (disposition) (increase(herald_acknowledgements_total{{exercise="true"}}{STEP}))',
                        "{{disposition}}",
                    ),
                    stacked=True,
                ),
                text(
                    "Real and exercise",
                    "`herald drill --last` reports on the last exercise. The dashboards *releases* and *deliveries*"
                    " show drills when **Show** is set to *drills*; their titles say which they show.",
                    width=8,
                    height=7,
                ),
            ],
        ),
    ],
)
