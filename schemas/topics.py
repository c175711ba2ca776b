"""Every topic of Herald: its key, partitions, clean-up, retention, writers, readers and event types.

Names are without the prefix (`herald.`). `{lab}`, `{agency}`, `{participant}` and `{service}` stand for ids.
`schemas/topics.yaml` is generated from here.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from schemas.acknowledgement import (
    AcknowledgementOverdue,
    AcknowledgementRecorded,
    AcknowledgementSubmitted,
    ReminderDue,
)
from schemas.alert import AlertIssued, DisclosureMade
from schemas.announcement import AnnouncementRecorded, AnnouncementRevised, AnnouncementWithdrawn
from schemas.audit import AccessAudited
from schemas.credential import CredentialIssued, CredentialRevoked, LinksRevoked
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
)
from schemas.envelope import Data
from schemas.heartbeat import HeartbeatBeat
from schemas.receipt import ReceiptAccepted, ReceiptRefused, ReceiptUnchanged
from schemas.registry import Registry
from schemas.release import ReleaseAnnounced, ReleaseWithdrawn
from schemas.values import MAX_REGISTRY_BYTES
from schemas.window import (
    WindowClosed,
    WindowClosingSoon,
    WindowNotOffered,
    WindowOpened,
    WindowRescheduled,
    WindowScheduled,
    WindowWithdrawn,
)

Service = Literal["gateway", "announcements", "windows", "notifier", "deliveries", "acknowledgements"]
SERVICES: tuple[Service, ...] = ("gateway", "announcements", "windows", "notifier", "deliveries", "acknowledgements")

DOMAIN_RETENTION = timedelta(days=400)
EDGE_RETENTION = timedelta(days=90)
DEAD_LETTER_RETENTION = timedelta(days=30)
HEARTBEAT_RETENTION = timedelta(days=7)
EDGE_BYTES = 512 * 1024
INTERNAL_BYTES = 1024 * 1024
STATE_BYTES = 4 * 1024 * 1024

RELEASES: tuple[type[Data], ...] = (ReleaseAnnounced, ReleaseWithdrawn)
ANNOUNCEMENTS: tuple[type[Data], ...] = (AnnouncementRecorded, AnnouncementRevised, AnnouncementWithdrawn)
WINDOWS: tuple[type[Data], ...] = (
    WindowScheduled,
    WindowRescheduled,
    WindowOpened,
    WindowClosingSoon,
    WindowClosed,
    WindowWithdrawn,
    WindowNotOffered,
)
ALERTS: tuple[type[Data], ...] = (AlertIssued,)
ACKS: tuple[type[Data], ...] = (AcknowledgementSubmitted,)
ACKNOWLEDGEMENTS: tuple[type[Data], ...] = (AcknowledgementRecorded, AcknowledgementOverdue)
REMINDERS: tuple[type[Data], ...] = (ReminderDue,)
DELIVERIES: tuple[type[Data], ...] = (
    DeliveryRequested,
    DeliveryCancelled,
    DeliveryRetried,
    EndpointPaused,
    EndpointResumed,
    NoticeRequested,
)
DELIVERY_OUTCOMES: tuple[type[Data], ...] = (
    DeliverySucceeded,
    DeliveryFailed,
    DeliveryAbandoned,
    EndpointFailing,
    EndpointRecovered,
    EndpointDisabled,
    NoticeSettled,
)
RECEIPTS: tuple[type[Data], ...] = (ReceiptAccepted, ReceiptUnchanged, ReceiptRefused, DisclosureMade)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, or one family of topics (a name with a placeholder)."""

    name: str
    about: str
    key: str
    single: bool  # one partition; otherwise HERALD_PARTITIONS
    cleanup: Literal["delete", "compact"]
    retention: timedelta | None
    max_bytes: int
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    events: tuple[type[Data], ...]

    def config(self) -> dict[str, str]:
        """The topic's settings as Kafka takes them."""
        settings = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(self.max_bytes),
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(int(self.retention.total_seconds() * 1000)) if self.retention else "-1",
        }
        if self.single and "{" in self.name:
            settings["compression.type"] = "uncompressed"
        return settings


def _edge(name: str, about: str, writers: tuple[str, ...], readers: tuple[str, ...], *events: type[Data]) -> Topic:
    return Topic(name, about, "any", True, "delete", EDGE_RETENTION, EDGE_BYTES, writers, readers, events)


def _internal(name: str, about: str, writers: tuple[str, ...], readers: tuple[str, ...], *events: type[Data]) -> Topic:
    return Topic(name, about, "release id", False, "delete", DOMAIN_RETENTION, INTERNAL_BYTES, writers, readers, events)


TOPICS: tuple[Topic, ...] = (
    _edge("releases.{lab}", "a lab's own events", ("lab", "door"), ("gateway", "audit"), *RELEASES),
    _edge("acks.{agency}", "an agency's own answers", ("agency", "door"), ("gateway", "audit"), *ACKS),
    _edge("alerts.{agency}", "what this agency is told", ("notifier",), ("agency", "door", "audit"), *ALERTS),
    _edge(
        "receipts.{participant}",
        "answers to this participant's events; to a lab also who was told",
        ("gateway", "announcements", "notifier", "acknowledgements"),
        ("lab", "agency", "door", "audit"),
        *RECEIPTS,
    ),
    _internal("releases", "labs' events, origin proven", ("gateway",), ("announcements", "audit"), *RELEASES),
    _internal("acks", "agencies' answers, origin proven", ("gateway",), ("acknowledgements", "audit"), *ACKS),
    _internal(
        "announcements",
        "recorded statements",
        ("announcements",),
        ("windows", "door", "audit"),
        *ANNOUNCEMENTS,
    ),
    _internal(
        "windows",
        "windows as they change",
        ("windows",),
        ("notifier", "acknowledgements", "door", "operator", "audit"),
        *WINDOWS,
    ),
    _internal(
        "alerts", "every alert of every agency", ("notifier",), ("acknowledgements", "operator", "audit"), *ALERTS
    ),
    _internal(
        "acknowledgements",
        "recorded answers",
        ("acknowledgements",),
        ("notifier", "door", "operator", "audit"),
        *ACKNOWLEDGEMENTS,
    ),
    _internal("reminders", "alerts to repeat", ("acknowledgements",), ("notifier", "audit"), *REMINDERS),
    Topic(
        "deliveries",
        "what is to be delivered on push endpoints, and what operators want of them",
        "endpoint",
        False,
        "delete",
        DOMAIN_RETENTION,
        INTERNAL_BYTES,
        ("notifier", "deliveries", "door", "operator", "watchdog"),
        ("deliveries", "door", "operator", "audit"),
        DELIVERIES,
    ),
    _internal(
        "delivery-outcomes",
        "what came of deliveries, and how endpoints are",
        ("deliveries",),
        ("notifier", "door", "operator", "audit"),
        *DELIVERY_OUTCOMES,
    ),
    Topic(
        "dead-letters",
        "records that could not be read or decided; the raw bytes, the reason in headers",
        "that of the record",
        False,
        "delete",
        DEAD_LETTER_RETENTION,
        INTERNAL_BYTES,
        SERVICES,
        ("door", "operator"),
        (),
    ),
    Topic(
        "replays",
        "dead letters that an operator gives back to their service, or drops",
        "that of the record",
        False,
        "delete",
        DEAD_LETTER_RETENTION,
        INTERNAL_BYTES,
        ("door", "operator"),
        SERVICES,
        (),
    ),
    Topic(
        "registry",
        "the registry's latest version",
        "registry",
        True,
        "compact",
        None,
        MAX_REGISTRY_BYTES,
        ("operator",),
        ("operator",),
        (Registry,),
    ),
    Topic(
        "registry-versions",
        "every version of the registry",
        "registry",
        True,
        "delete",
        DOMAIN_RETENTION,
        MAX_REGISTRY_BYTES,
        ("operator",),
        ("gateway", "announcements", "windows", "notifier", "deliveries", "door", "operator", "audit", "watchdog"),
        (Registry,),
    ),
    Topic(
        "credentials",
        "tokens of the HTTP door by their hashes, and until when links are revoked; the last word on each",
        "token id, or links.<agency>",
        True,
        "compact",
        None,
        INTERNAL_BYTES,
        ("door", "operator"),
        ("door", "operator"),
        (CredentialIssued, CredentialRevoked, LinksRevoked),
    ),
    Topic(
        "audit",
        "who changed something, or looked at what a release says",
        "participant, or operator",
        True,
        "delete",
        DOMAIN_RETENTION,
        INTERNAL_BYTES,
        ("door", "operator", "audit"),
        ("operator",),
        (AccessAudited,),
    ),
    Topic(
        "heartbeat",
        "a sign of life a minute, and when a release last went the whole way: quiet is not the same as broken",
        "heartbeat",
        True,
        "delete",
        HEARTBEAT_RETENTION,
        EDGE_BYTES,
        ("watchdog",),
        ("agency", "door", "watchdog"),
        (HeartbeatBeat,),
    ),
    Topic(
        "state.{service}",
        "a service's state and positions",
        "state key",
        False,
        "compact",
        None,
        STATE_BYTES,
        SERVICES,
        SERVICES,
        (),
    ),
)

EVENTS: tuple[type[Data], ...] = tuple(dict.fromkeys(event for topic in TOPICS for event in topic.events))
"""Every event type, each once."""
