"""The path of one release through the topics: what led to what, by ids that are derived from their causes. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.acknowledgement import AcknowledgementOverdue, AcknowledgementRecorded
from schemas.alert import DisclosureMade
from schemas.envelope import derived_id
from services.audit.evidence import Kept


@dataclass(slots=True)
class Hop:
    """One record on the path. `about`: whom and what it concerns, in ids and kinds; `cause`: the hop that led to it."""

    name: str
    kept: Kept
    about: str
    event_id: str = ""
    cause: "Hop | None" = None
    depth: int = 0

    @property
    def after_ms(self) -> int | None:
        """How long after its cause Kafka took it, in real milliseconds; None: nothing here led to it.

        What is written in one transaction may be taken in any order: then it is 0.
        """
        return max(self.kept.ms - self.cause.kept.ms, 0) if self.cause is not None else None


def path(records: Iterable[Kept], edges: Mapping[tuple[str, str], Kept], release_id: str) -> list[Hop]:
    """Every hop, each behind the one that led to it."""
    return list(_Path(records, edges, release_id).in_order())


class _Path:
    def __init__(self, records: Iterable[Kept], edges: Mapping[tuple[str, str], Kept], release_id: str) -> None:
        self._edges = edges
        self._release_id = release_id
        self._hops: list[Hop] = []
        self._by_cause: dict[str, Hop] = {}
        self._told: dict[str, Hop] = {}
        self._alerts: dict[str, Hop] = {}
        self._reminders: dict[tuple[str, str, str], Hop] = {}
        self._requests: dict[str, Hop] = {}
        read = [(one, json.loads(one.value)) for one in records]
        known = {name for _, event in read for name in event["data"].get("agencies", ())}
        known |= {event["data"]["agency"] for kept, event in read if kept.topic == "alerts"}
        self._places = range(2 * len(known) + 2)  # a disclosure's id holds its place: two events for each agency
        for see in (
            *(self._said, self._recorded, self._windows, self._versions),
            *(self._disclosed, self._issued, self._asked, self._followed),
        ):  # causes first: at one instant a record may stand before that which led to it
            for kept, event in read:
                see(kept, event, event["data"])

    def in_order(self) -> Iterator[Hop]:
        """A cause comes before what it led to; otherwise by time."""
        led_to: dict[int, list[Hop]] = defaultdict(list)
        for hop in self._hops:
            led_to[id(hop.cause)].append(hop)

        def below(cause: Hop | None, depth: int) -> Iterator[Hop]:
            for hop in sorted(led_to[id(cause)], key=lambda one: one.kept):
                hop.depth = depth
                yield hop
                yield from below(hop, depth + 1)

        yield from below(None, 0)

    def _add(self, name: str, kept: Kept, about: str, cause: Hop | None = None, event_id: str = "") -> Hop:
        hop = Hop(name, kept, about, event_id, cause)
        self._hops.append(hop)
        return hop

    def _from_edge(self, family: str, who: str, event: dict[str, Any], cause: Hop | None) -> Hop | None:
        edge = self._edges.get((f"{family}.{who}", event.get("senderid", "")))
        return self._add("said", edge, who, cause) if edge is not None else cause

    def _said(self, kept: Kept, event: dict[str, Any], data: dict[str, Any]) -> None:
        if kept.topic == "releases":
            who = event["source"].rpartition("/")[2]
            hop = self._add("taken", kept, _kind(event), self._from_edge("releases", who, event, None), event["id"])
            cause = derived_id("releases", event["id"])
            for kind in ("recorded", "revised", "withdrawn"):
                self._by_cause[derived_id(cause, f"herald.announcement.{kind}.v1", "0")] = hop
            self._by_cause[derived_id(cause, "receipt")] = hop

    def _recorded(self, kept: Kept, event: dict[str, Any], data: dict[str, Any]) -> None:
        if kept.topic == "announcements":
            about = f"{_kind(event)}, revision {data['announcement']['revision']}"
            hop = self._add("recorded", kept, about, self._by_cause.get(event["id"]), event["id"])
            cause = derived_id("announcements", event["id"])
            for kind in _WINDOWS:
                self._by_cause[derived_id(cause, f"herald.window.{kind}.v1", "0")] = hop

    def _windows(self, kept: Kept, event: dict[str, Any], data: dict[str, Any]) -> None:
        if kept.topic == "windows":
            due = f", due {data['due_at']}" if "due_at" in data else ""
            about = f"{_kind(event)}, life {data['window']['life']}{due}"
            hop = self._add("window", kept, about, self._by_cause.get(event["id"]), event["id"])
            self._tells(derived_id("windows", event["id"]), hop)

    def _versions(self, kept: Kept, event: dict[str, Any], data: dict[str, Any]) -> None:
        if kept.topic == "registry-versions":
            hop = self._add("registry", kept, f"version {data['version']}", None, event["id"])
            self._tells(derived_id("registry", str(data["version"]), self._release_id), hop)

    def _tells(self, cause: str, hop: Hop) -> None:
        for ordinal in self._places:
            self._by_cause[derived_id(cause, DisclosureMade.type, str(ordinal))] = hop

    def _disclosed(self, kept: Kept, event: dict[str, Any], data: dict[str, Any]) -> None:
        if event["type"] == DisclosureMade.type and (hop := self._by_cause.get(event["id"])) is not None:
            self._told[data["alert_id"]] = hop
        elif kept.topic == "reminders":
            about = f"{data['agency']}, {data['chase']} to {data['tier']}, due {data['due_at']}"
            key = (data["alert_id"], data["tier"], data["chase"])
            self._reminders[key] = self._add("reminder", kept, about, None, event["id"])

    def _issued(self, kept: Kept, event: dict[str, Any], data: dict[str, Any]) -> None:
        if kept.topic == "alerts":
            chase = f" {data['chase']} to {data['tier']}" if "chase" in data else ""
            again = (data.get("repeats", ""), data.get("tier", ""), data.get("chase", ""))
            cause = self._told.get(data["alert_id"]) or self._reminders.get(again)
            about = f"{data['agency']}, {data['kind']}{chase}, number {data['sequence']}"
            self._alerts[data["alert_id"]] = self._add("alert", kept, about, cause, event["id"])

    def _asked(self, kept: Kept, event: dict[str, Any], data: dict[str, Any]) -> None:
        """Reminders, deliveries and answers: each speaks of an alert."""
        if kept.topic == "reminders":
            hop = self._reminders[data["alert_id"], data["tier"], data["chase"]]
            hop.cause = self._alerts.get(data["alert_id"])
        elif kept.topic == "deliveries" and "alert" in data:
            alert = self._alerts.get(data["alert"]["alert_id"])
            hop = self._add("asked", kept, f"{data['agency']}/{data['endpoint']}", alert, event["id"])
            self._requests.setdefault(data["delivery_id"], hop)
        elif kept.topic == "acks":
            who, alert = event["source"].rpartition("/")[2], self._alerts.get(data["alert_id"])
            hop = self._add("taken", kept, who, self._from_edge("acks", who, event, alert), event["id"])
            cause = derived_id("acks", event["id"])
            self._by_cause[derived_id(cause, AcknowledgementRecorded.type, "0")] = hop
            self._by_cause[derived_id(cause, "receipt")] = hop

    def _followed(self, kept: Kept, event: dict[str, Any], data: dict[str, Any]) -> None:
        """What came of deliveries, answers and silence."""
        alert = self._alerts.get(data.get("alert_id", ""))
        if kept.topic == "delivery-outcomes" and "delivery_id" in data:
            about = f"{data['agency']}/{data['endpoint']}, {_kind(event)}, attempts {data['attempts']}"
            self._add("outcome", kept, about, self._requests.get(data["delivery_id"], alert), event["id"])
        elif kept.topic == "acknowledgements" and event["type"] == AcknowledgementOverdue.type:
            self._add("overdue", kept, f"{data['agency']}, {data['tier']}, due {data['due_at']}", alert, event["id"])
        elif kept.topic == "acknowledgements":
            cause = self._by_cause.get(event["id"], alert)
            self._add("answered", kept, f"{data['agency']}, {data['disposition']}", cause, event["id"])
        elif kept.topic.startswith("receipts.") and event["type"] != DisclosureMade.type:
            about = f"{data['participant']}, {_kind(event)}"
            self._add("receipt", kept, about, self._by_cause.get(event["id"]), event["id"])


_WINDOWS = ("scheduled", "rescheduled", "opened", "closing-soon", "closed", "withdrawn", "not-offered")


def _kind(event: dict[str, Any]) -> str:
    return str(event["type"].split(".")[2])
