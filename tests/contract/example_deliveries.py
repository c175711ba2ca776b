"""Examples of what happens on two endpoints of the agency `all`, for its first alert of the examples' release."""

from datetime import datetime, timedelta
from typing import Any

from schemas.alert import AlertIssued
from schemas.delivery import (
    DeliveryAbandoned,
    DeliveryCancelled,
    DeliveryFailed,
    DeliveryRequested,
    DeliveryRetried,
    DeliverySucceeded,
    EndpointDisabled,
    EndpointFailing,
    EndpointPaused,
    EndpointRecovered,
    EndpointResumed,
    NoticeRequested,
    NoticeSettled,
    delivery_id,
)
from schemas.endpoint import Email, MailRelay, QuietHours, Webhook
from schemas.envelope import Data, derived_id
from schemas.registry import Registry

AGENCY, DESK, POST = "all", "desk", "post"


def with_endpoints(before: Registry, now: datetime) -> Registry:
    """The next version of the examples' registry: its agency is told by a webhook and by mail, too."""
    desk = Webhook(
        channel="webhook",
        tier="watch",
        url="https://desk.all.example/herald",
        secrets=("file:/run/secrets/herald-all-desk",),
        headers={"X-Queue": "early-access"},
    )
    post = Email(channel="email", tier="lead", kinds=("scheduled", "opened"), to="lead@all.example")
    agency = before.agencies[AGENCY].model_copy(
        update={"endpoints": {DESK: desk, POST: post}, "quiet_hours": QuietHours(begins="22:00", ends="07:00")}
    )
    relay = MailRelay(
        host="relay.herald.example",
        username="herald",
        password="env:RELAY_PASSWORD",
        sender="herald@herald.example",
    )
    changed: dict[str, Any] = {"agencies": {**before.agencies, AGENCY: agency}, "mail": relay}
    return before.model_copy(update=changed | {"version": before.version + 1, "applied_at": now})


def deliveries(alert: AlertIssued) -> tuple[tuple[str, datetime, Data], ...]:
    """Who says it, when, and what: one of each event about endpoints."""
    told = alert.issued_at
    later = told + timedelta(seconds=5)
    on_desk: dict[str, Any] = {"agency": AGENCY, "endpoint": DESK}
    on_post: dict[str, Any] = {"agency": AGENCY, "endpoint": POST}
    outcome: dict[str, Any] = on_desk | {
        "channel": "webhook",
        "delivery_id": delivery_id(alert.alert_id, AGENCY, DESK),
        "release_id": alert.release_id,
        "alert_id": alert.alert_id,
        "sequence": alert.sequence,
        "kind": alert.kind,
        "exercise": alert.exercise,
    }
    mailed = outcome | on_post | {"channel": "email", "delivery_id": delivery_id(alert.alert_id, AGENCY, POST)}
    days = [told + timedelta(days=number) for number in range(7)]
    mailbox: dict[str, Any] = on_post | {"channel": "email", "since": told}
    by_notifier: tuple[tuple[datetime, Data], ...] = (
        (
            told,
            DeliveryRequested(
                **on_desk, delivery_id=outcome["delivery_id"], tier="watch", alert=alert, requested_at=told
            ),
        ),
        (
            days[1],
            DeliveryCancelled(**on_post, release_id=alert.release_id, sequence=alert.sequence, reason="acknowledged"),
        ),
    )
    by_service: tuple[tuple[datetime, Data], ...] = (
        (
            told,
            DeliveryFailed(
                **outcome,
                attempts=1,
                at=told,
                reason="server-error",
                seconds=0.2,
                answer="503 Service Unavailable",
                retry_at=later,
            ),
        ),
        (
            later,
            DeliverySucceeded(**outcome, attempts=2, at=later, requested_at=told, seconds=0.1, answer="204 No Content"),
        ),
        (
            days[1],
            DeliveryAbandoned(
                **mailed,
                attempts=7,
                at=days[1],
                reason="acknowledged",
                failure="unreachable",
                answer="connection refused",
            ),
        ),
        (later, EndpointFailing(**mailbox, at=later, reason="unreachable")),
        (days[5], EndpointDisabled(**mailbox, at=days[5])),
        (days[6], EndpointRecovered(**mailbox, at=days[6])),
        (
            days[5],
            NoticeSettled(
                agency=AGENCY,
                endpoint=DESK,
                channel="webhook",
                notice_id=derived_id("example notice"),
                notice="disabled",
                at=days[5],
                seconds=0.2,
                answer="204 No Content",
            ),
        ),
        (
            days[5],
            NoticeRequested(
                **on_desk,
                notice_id=derived_id("example notice"),
                notice="disabled",
                about=POST,
                requested_at=days[5],
            ),
        ),
    )
    by_operator: tuple[tuple[datetime, Data], ...] = (
        (told, EndpointPaused(**on_post, until=days[1])),
        (days[6], EndpointResumed(**on_post)),
        (later, DeliveryRetried(**on_post, delivery_id=mailed["delivery_id"])),
    )
    return tuple(
        (f"/services/{who}", when, data)
        for who, said in (("notifier", by_notifier), ("deliveries", by_service), ("operator", by_operator))
        for when, data in said
    )
