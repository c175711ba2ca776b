"""Webhooks, e-mail and chat: what is taken, what waits, which endpoints work."""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.panel import AT_ALL, course, heat, stat
from deploy.dashboards.query import Query, grown, in_range, or_none, quantiles

CHOSEN = '{exercise="$exercise"}'


def endpoints(state: str) -> Query:
    """How many endpoints are so."""
    return Query(or_none(f'sum(herald_endpoints{{state="{state}"}})'), state)


UNTAKEN = course(
    "Oldest alert that no endpoint took",
    "By agency: every endpoint asked so far has failed. Without drills.",
    Query(or_none("time() - min by (agency) (herald_alerts_untaken_oldest_timestamp_seconds)", "agency"), "{{agency}}"),
    unit="s",
    steps=(("orange", 300.0), ("red", 600.0)),
    runbook=["HeraldAgencyUntold"],
)

BOARD = Board(
    "deliveries",
    "deliveries",
    "Webhooks, e-mail and chat: what is taken, what waits, which endpoints work.",
    [
        Row(
            "Now",
            [
                stat("Endpoints that work", "Of those that were used.", endpoints("working")),
                stat(
                    "Failing endpoints",
                    "Their breaker is open: they are tried again, less often.",
                    endpoints("failing"),
                    steps=(("orange", 0.001),),
                    runbook=["HeraldEndpointFailing"],
                ),
                stat(
                    "Disabled endpoints",
                    "Nothing goes there until somebody resumes them.",
                    endpoints("disabled"),
                    steps=AT_ALL,
                    runbook=["HeraldEndpointFailing"],
                ),
                stat(
                    "Agencies without working channel",
                    "Each endpoint that they used fails or is disabled.",
                    Query(
                        "count(sum by (agency) (herald_endpoints) > 0"
                        " unless on (agency) agency:herald_endpoints_working:sum > 0) or vector(0)",
                        "agencies",
                    ),
                    steps=AT_ALL,
                    runbook=["HeraldAgencyWithoutWorkingChannel"],
                ),
                stat(
                    "Alerts no endpoint took, ${exercise:text}",
                    "While another tier is to come.",
                    Query(or_none(f"sum(herald_alerts_untaken{CHOSEN})"), "alerts"),
                    steps=(("orange", 0.001),),
                    runbook=["HeraldAgencyUntold"],
                ),
                stat(
                    "Taken in the range, ${exercise:text}",
                    "Deliveries that an endpoint took.",
                    in_range("herald_deliveries_total", '{exercise="$exercise", outcome="taken"}'),
                ),
            ],
        ),
        Row(
            "Deliveries, ${exercise:text}",
            [
                course(
                    "Ended, ${exercise:text}",
                    "Taken, or why abandoned, by channel.",
                    Query(
                        or_none(
                            f"sum by (channel, outcome) {grown('herald_deliveries_total', CHOSEN)}",
                            "channel",
                            "outcome",
                        ),
                        "{{channel}} {{outcome}}",
                    ),
                    stacked=True,
                ),
                course(
                    "From request to taken, ${exercise:text}",
                    "In Herald's time; quiet hours and pauses count.",
                    *(
                        Query(or_none(one.expr, "channel"), one.legend)
                        for one in quantiles("herald_delivery_latency_seconds", "channel", CHOSEN)
                    ),
                    unit="s",
                ),
                course(
                    "Pending, ${exercise:text}",
                    "By agency: due, or held by quiet hours or a pause.",
                    Query(
                        or_none(
                            f"sum by (agency, waits) (herald_deliveries_pending{CHOSEN})",
                            "agency",
                            "waits",
                        ),
                        "{{agency}} {{waits}}",
                    ),
                ),
            ],
        ),
        Row(
            "By agency",
            [
                course(
                    "Oldest pending",
                    "Age of the oldest delivery that is not held, without drills.",
                    Query(
                        or_none(
                            "time() - min by (agency) (herald_deliveries_pending_oldest_timestamp_seconds)",
                            "agency",
                        ),
                        "{{agency}}",
                    ),
                    unit="s",
                    steps=(("orange", 300.0), ("red", 600.0)),
                    runbook=["HeraldAgencyUntold"],
                ),
                course(
                    "Endpoints",
                    "Those that were used, by how they are.",
                    Query(
                        or_none("sum by (agency, state) (herald_endpoints)", "agency", "state"),
                        "{{agency}} {{state}}",
                    ),
                    stacked=True,
                    runbook=["HeraldEndpointFailing", "HeraldAgencyWithoutWorkingChannel"],
                ),
                UNTAKEN,
            ],
        ),
        Row(
            "Attempts, real ones, drills and tests",
            [
                course(
                    "Attempts",
                    "By channel and what came of it: taken, or why not.",
                    Query(
                        or_none(
                            f"sum by (channel, outcome) {grown('herald_delivery_attempts_total')}",
                            "channel",
                            "outcome",
                        ),
                        "{{channel}} {{outcome}}",
                    ),
                    stacked=True,
                    runbook=["HeraldEndpointFailing"],
                ),
                course(
                    "How long attempts take",
                    "By channel; an attempt ends after 15 seconds.",
                    *(
                        Query(or_none(one.expr, "channel"), one.legend)
                        for one in quantiles("herald_delivery_attempt_seconds", "channel")
                    ),
                    unit="s",
                    steps=(("orange", 10.0),),
                ),
                heat(
                    "Attempts by duration",
                    "All channels.",
                    "herald_delivery_attempt_seconds",
                ),
            ],
        ),
    ],
)
