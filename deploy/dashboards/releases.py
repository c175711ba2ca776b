"""How releases flow, hop by hop: what metrics can say of one release's life without naming it."""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.panel import Panel, course, heat, stat, text
from deploy.dashboards.query import STEP, Query, grown, in_range, or_none, quantiles

CHOSEN = '{exercise="$exercise"}'
SAID = """\
**Metrics name no release**, so this page follows none: a label that joins a lab with a window would show whoever reads
metrics what only a release's readers may know, and would grow without end. It shows how releases flow from hop to hop,
and how long each hop takes. The points on the durations are traces, where the sender gave one.

One release's own story, event by event: [${herald}/console/releases/${release}](${herald}/console/releases/${release});
put its id in the field above. `herald windows` lists the ids.
"""


def hop(title: str, about: str, service: str, types: str) -> Panel:
    """How many events of some types a service has written in the range."""
    chosen = f'{{service="{service}", type=~"herald[.]{types}[.]v1"}}'
    return stat(title, f"{about} Real ones and drills.", in_range("herald_events_emitted_total", chosen))


BOARD = Board(
    "releases",
    "the life of releases",
    "Announced, recorded, window, alerted, acknowledged: how many, and how long each hop takes.",
    [
        Row("One release", [text("What this shows", SAID, height=5)]),
        Row(
            "Hops, in the range shown",
            [
                hop("1 Announced", "Labs' statements that the edge let in.", "gateway", "release[.].*"),
                hop("2 Recorded", "Announcements new, revised or withdrawn.", "announcements", "announcement[.].*"),
                hop("3 Windows moved", "Derived, moved, opened, closing, closed.", "windows", "window[.].*"),
                hop("4 Alerted", "Alerts on agencies' topics, reminders among them.", "notifier", "alert[.]issued"),
                hop(
                    "5 Acknowledged",
                    "Agencies' answers that were recorded.",
                    "acknowledgements",
                    "acknowledgement[.]recorded",
                ),
                hop(
                    "6 Overdue",
                    "Due times that passed without an answer.",
                    "acknowledgements",
                    "acknowledgement[.]overdue",
                ),
            ],
        ),
        Row(
            "The whole way, ${exercise:text}",
            [
                heat(
                    "From cause to alert, ${exercise:text}",
                    "From the lab's statement at the edge, the due time or the registry to an alert's commit.",
                    "herald_alert_latency_seconds",
                    CHOSEN,
                    width=12,
                    runbook=["HeraldAlertLate"],
                ),
                course(
                    "By cause, ${exercise:text}",
                    "The same, by what the alert came of: statement, time, registry.",
                    *quantiles("herald_alert_latency_seconds", "cause", CHOSEN),
                    unit="s",
                    width=12,
                    steps=(("red", 60.0),),
                    runbook=["HeraldAlertsLateFast"],
                ),
                course(
                    "First to last agency told, ${exercise:text}",
                    "How far apart agencies' topics took one change.",
                    *quantiles("herald_alert_skew_seconds", chosen=CHOSEN),
                    unit="s",
                    steps=(("red", 10.0),),
                    runbook=["HeraldAgenciesToldApart"],
                ),
                course(
                    "Windows, ${exercise:text}",
                    "As they stand; ended ones for 30 days.",
                    Query(or_none(f"sum by (status) (herald_windows{CHOSEN})", "status"), "{{status}}"),
                ),
                course(
                    "Alerts, ${exercise:text}",
                    "By kind; reminders and escalations repeat it.",
                    Query(f"sum by (kind) (increase(herald_alerts_total{CHOSEN}{STEP}))", "{{kind}}"),
                    stacked=True,
                ),
            ],
        ),
        Row(
            "Each hop, real ones and drills",
            [
                course(
                    "Waiting before each hop",
                    "How long the oldest record waits to be decided.",
                    Query(
                        'max by (service) (herald_lag_seconds{service!="deliveries"})',
                        "{{service}}",
                    ),
                    unit="s",
                    steps=(("red", 60.0),),
                    runbook=["HeraldLag"],
                ),
                course(
                    "Time in each hop",
                    "From a transaction's begin to its commit.",
                    *quantiles("herald_transaction_seconds", "service", '{service!="deliveries"}'),
                    unit="s",
                ),
                course(
                    "What was due by time",
                    "From due to fired, in Herald's time: openings, closings, reminders.",
                    *quantiles("herald_timer_lateness_seconds", "service"),
                    unit="s",
                    steps=(("red", 60.0),),
                    runbook=["HeraldTransitionLate"],
                ),
            ],
        ),
        Row(
            "Answers, ${exercise:text}",
            [
                course(
                    "Answers, ${exercise:text}",
                    "By disposition, and those that came late. An acknowledgement is not an approval.",
                    Query(
                        f"sum by (disposition, late) (increase(herald_acknowledgements_total{CHOSEN}{STEP}))",
                        "{{disposition}}, late {{late}}",
                    ),
                    stacked=True,
                ),
                course(
                    "Awaited, ${exercise:text}",
                    "Unanswered alerts, by agency and how far the chase is.",
                    Query(
                        or_none(f"sum by (agency, step) (herald_answers_awaited{CHOSEN})", "agency", "step"),
                        "{{agency}} {{step}}",
                    ),
                    runbook=["HeraldAgencySilent"],
                ),
                course(
                    "Overdue, ${exercise:text}",
                    "Due times that passed without an answer: of a tier, the last one, at the closing.",
                    Query(
                        or_none(
                            f"sum by (agency, step) {grown('herald_acknowledgements_overdue_total', CHOSEN)}",
                            "agency",
                            "step",
                        ),
                        "{{agency}} {{step}}",
                    ),
                    stacked=True,
                    runbook=["HeraldAgencySilent"],
                ),
            ],
        ),
    ],
)
