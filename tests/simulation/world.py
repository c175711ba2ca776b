"""Herald without a broker: the deciders and the kernel's order of work on logs in memory, on a virtual clock.

Every record goes through bytes, as it does over Kafka. One partition stands for all.
"""

import heapq
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.delivery import Abandon, DeliveryAbandoned, DeliverySucceeded
from schemas.envelope import Data, encode
from schemas.registry import Registry
from services.acknowledgements.app import SERVICE as ACKNOWLEDGEMENTS
from services.announcements.app import SERVICE as ANNOUNCEMENTS
from services.gateway.app import SERVICE as GATEWAY
from services.kernel.dead_letter import Headers
from services.kernel.inbox import Item
from services.kernel.ledger import REGISTRY_TOPIC, Ledger
from services.kernel.service import Service
from services.kernel.state import Restored
from services.notifier.app import SERVICE as NOTIFIER
from services.windows.app import SERVICE as WINDOWS

ORDER = (GATEWAY, ANNOUNCEMENTS, WINDOWS, NOTIFIER, ACKNOWLEDGEMENTS)
START = datetime(2027, 3, 1, tzinfo=UTC)
NAMESPACE = "6d1f3c1e-6f0e-4b5c-9c39-1d0a5b1d7c55"
Fate = tuple[float, Abandon | None]
"""After how many minutes an endpoint has taken what it was asked to deliver; or why that is abandoned."""


def day(number: float) -> datetime:
    """An instant so many days after the start."""
    return START + timedelta(days=number)


def registry(**changes: Any) -> Registry:
    """Two labs and four agencies: `all` wants everything, `cyber` one capability, `drills` exercises, `not` news."""
    base: dict[str, Any] = {
        "version": 1,
        "namespace": NAMESPACE,
        "labs": {"lab": {"name": "Lab"}, "other": {"name": "Other lab"}},
        "agencies": {
            "all": {"name": "All", "tiers": ["watch", "lead"]},
            "cyber": {"name": "Cyber", "tiers": ["watch"], "interests": {"capabilities": ["cyber"]}},
            "drills": {"name": "Drills", "exercises": True, "interests": {"labs": ["other"]}},
            "not": {
                "name": "News",
                "kinds": ["announced"],
                "interests": {"capabilities": ["biology"]},
            },
        },
        "capabilities": {"cyber": "finds weaknesses", "biology": "designs", "autonomy": "goes on"},
    }
    return Registry.model_validate_json(json.dumps(base | changes))


def endpoints() -> dict[str, dict[str, Any]]:
    """Where each agency is told besides its topic: `all` in two tiers, `cyber` in one, the others nowhere."""
    hook = {"channel": "webhook", "url": "https://desk.example/hook", "secrets": ["env:HOOK"]}
    return {
        "all": {
            "desk": {"tier": "watch"} | hook,
            "mail": {"tier": "watch", "channel": "email", "to": "desk@all.example", "kinds": ["opened", "closed"]},
            "chat": {"tier": "lead", "channel": "slack", "url": "env:CHAT"},
            "lead": {"tier": "lead"} | hook,
        },
        "cyber": {"thin": {"tier": "watch", "content": "thin"} | hook},
    }


def pushed(**changes: Any) -> Registry:
    """The registry, with endpoints."""
    agencies = json.loads(registry().model_dump_json(exclude_none=True))["agencies"]
    found = {name: agency | {"endpoints": endpoints().get(name, {})} for name, agency in agencies.items()}
    return registry(**{"agencies": found} | changes)


def release(**changes: Any) -> dict[str, Any]:
    """A statement: opens on day 16, closes with the release on day 30, for whoever takes `cyber`."""
    base: dict[str, Any] = {
        "reference": "m-1",
        "model": {"name": "Model One"},
        "capabilities": ["cyber"],
        "trusted_partner_release_at": at(30),
        "early_access": {"opens": "P14D"},
        "audience": {"mode": "matching"},
    }
    return {name: value for name, value in (base | changes).items() if value is not None}


def at(number: float) -> str:
    """A day as a lab writes it."""
    return day(number).isoformat().replace("+00:00", "Z")


@dataclass(slots=True)
class Record:
    """One record of a log."""

    at: datetime
    key: bytes
    value: bytes | None
    headers: Headers = ()


@dataclass(slots=True)
class World:
    """All services, one shard each."""

    first: Registry = field(default_factory=registry)
    now: datetime = START
    began: datetime = START
    logs: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    dies: Callable[[str], bool] = lambda _: False
    """Asked between any two steps of any service: whether it crashes there."""
    fate: Callable[[dict[str, Any]], Fate | None] = lambda _: None
    """Asked of each request to deliver; None: silence."""
    _fates: list[tuple[datetime, int, Abandon | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for service in ORDER:
            self.ledgers[service.name] = Ledger(service, 0, Restored())
        self.apply(self.first)

    # ---- what people do

    def apply(self, version: Registry) -> "World":
        """Applies a registry version."""
        event = version.stamped(cause=str(version.version), ordinal=0, source="/services/registry", time=self.now)
        self._append(REGISTRY_TOPIC, b"registry", encode(event))
        for name in ("gateway", "announcements", "windows"):
            self.ledgers[name].registry = version
        return self.settle()

    def announce(self, lab: str = "lab", *, event_id: str | None = None, **changes: Any) -> "World":
        """A lab states a release."""
        return self.send(f"releases.{lab}", f"/labs/{lab}", "release.announced", release(**changes), event_id)

    def withdraw(
        self, lab: str = "lab", *, reference: str = "m-1", event_id: str | None = None, **more: Any
    ) -> "World":
        """A lab withdraws a release."""
        data = {"reference": reference} | more
        return self.send(f"releases.{lab}", f"/labs/{lab}", "release.withdrawn", data, event_id)

    def answer(
        self, agency: str, disposition: str = "received", *, alert: str | None = None, event_id: str | None = None
    ) -> "World":
        """An agency answers an alert: by default the last one that it was sent."""
        last = self.alerts(agency)[-1] if self.alerts(agency) else {"alert_id": alert, "release_id": alert}
        data = {"alert_id": alert or last["alert_id"], "release_id": last["release_id"], "disposition": disposition}
        return self.send(f"acks.{agency}", f"/agencies/{agency}", "acknowledgement.submitted", data, event_id)

    def outcome(self, request: dict[str, Any], abandoned: Abandon | None = None) -> "World":
        """An endpoint takes what it was asked to deliver, or it is abandoned."""
        alert = request["alert"]
        named: dict[str, Any] = {name: request[name] for name in ("agency", "endpoint", "delivery_id")}
        named |= {name: alert[name] for name in ("release_id", "alert_id", "sequence", "kind", "exercise")}
        named |= {"attempts": 1, "at": self.now}
        if abandoned is not None:
            return self.tell("delivery-outcomes", DeliveryAbandoned(**named, reason=abandoned))
        return self.tell("delivery-outcomes", DeliverySucceeded(**named, requested_at=self.now, seconds=0.1))

    def tell(self, topic: str, data: Data) -> "World":
        """A service that is not simulated writes an event."""
        cause = f"{topic} {len(self.logs[topic])}"
        event = data.stamped(cause=cause, ordinal=0, source="/services/deliveries", time=self.now)
        self._append(topic, (event.subject or "").encode(), encode(event))
        return self.settle()

    def send(
        self, topic: str, source: str, kind: str, data: dict[str, Any], event_id: str | None = None, **more: Any
    ) -> "World":
        """Writes an event to an edge topic."""
        event = {"specversion": "1.0", "id": event_id or f"e{len(self.logs[topic])}", "source": source}
        event |= {"type": f"herald.{kind}.v1", "data": data} | more
        return self.raw(topic, json.dumps(event).encode())

    def raw(self, topic: str, value: bytes | None) -> "World":
        """Writes bytes to an edge topic."""
        self._append(topic, b"", value)
        return self.settle()

    def until(self, instant: datetime | float) -> "World":
        """Lets time pass; timers fire at their instants."""
        target = day(instant) if isinstance(instant, int | float) else instant
        while True:
            dues = [t[1].due_at for name, ledger in self._up() if (t := ledger.next_timer()) is not None]
            due = min([*dues, *(at for at, _, _ in self._fates[:1])], default=None)
            if due is None or due > target:
                break
            self.now = max(self.now, due)
            while self._fates and self._fates[0][0] <= self.now:
                _, number, abandoned = heapq.heappop(self._fates)
                self.outcome(json.loads(self.logs["deliveries"][number].value or b"{}")["data"], abandoned)
            self.settle()
        self.now = max(self.now, target)
        return self.settle()

    def crash(self, name: str) -> "World":
        """A service loses its memory and reads its state back."""
        service = next(s for s in ORDER if s.name == name)
        last = {record.key: (record.value, record.headers) for record in self.logs[service.state_topic]}
        records = {key: (value, headers) for key, (value, headers) in last.items() if value is not None}
        before = self.ledgers[name].registry
        restored = Restored()
        for _ in restored.take(service, 0, records):
            pass
        self.ledgers[name] = Ledger(service, 0, restored)
        self.ledgers[name].registry = before
        return self

    # ---- what they see

    def events(self, topic: str, kind: str = "") -> list[dict[str, Any]]:
        """The events of a topic, whose type contains `kind`."""
        found = [json.loads(record.value or b"{}") for record in self.logs[topic]]
        return [event for event in found if kind in event["type"]]

    def alerts(self, agency: str) -> list[dict[str, Any]]:
        """What an agency was told."""
        return [event["data"] for event in self.events(f"alerts.{agency}")]

    def kinds(self, agency: str) -> list[str]:
        """What an agency was told, in short: `scheduled`, `scheduled reminder watch`."""
        return [f"{a['kind']} {a['chase']} {a['tier']}" if a.get("chase") else a["kind"] for a in self.alerts(agency)]

    def windows(self) -> list[dict[str, Any]]:
        """The windows' events: the data, with the short type as `event`."""
        return [e["data"] | {"event": e["type"].split(".")[2]} for e in self.events("windows")]

    def window(self) -> dict[str, Any]:
        """The window as it stands."""
        found: dict[str, Any] = self.windows()[-1]["window"]
        return found

    def receipt(self, participant: str = "lab") -> dict[str, Any]:
        """The last receipt: the data, with the outcome as `outcome`, codes of warnings and reasons as `codes`."""
        event = self.events(f"receipts.{participant}", "receipt.")[-1]
        data: dict[str, Any] = event["data"]
        codes = [n["code"] for n in [*data.get("warnings", []), *data.get("reasons", [])]]
        return data | {"outcome": event["type"].split(".")[2], "codes": codes}

    def acknowledgements(self, kind: str = "recorded") -> list[dict[str, Any]]:
        """What was recorded, or overdue."""
        return [event["data"] for event in self.events("acknowledgements", kind)]

    def requests(self, endpoint: str = "") -> list[dict[str, Any]]:
        """What endpoints (`agency/endpoint`, or its beginning) were asked to deliver."""
        events = self.events("deliveries", "delivery.requested")
        return [event["data"] for event in events if event["subject"].startswith(endpoint)]

    def asked(self, agency: str) -> list[str]:
        """What an agency's endpoints were asked, in short: `desk scheduled`, `mail not 1: acknowledged`."""
        said = []
        for event in self.events("deliveries"):
            data = event["data"]
            if data["agency"] == agency and "alert" in data:
                said.append(f"{data['endpoint']} {data['alert']['kind']}")
            elif data["agency"] == agency:
                said.append(f"{data['endpoint']} not {data['sequence']}: {data['reason']}")
        return said

    # ---- the order of work

    def settle(self) -> "World":
        """Lets every service that is up decide what stands in its inputs, and what is due."""
        busy = True
        while busy:
            busy = any(self._work(name, ledger) for name, ledger in self._up())
        return self

    def _up(self) -> list[tuple[str, Ledger]]:
        return [(name, ledger) for name, ledger in self.ledgers.items() if name not in self.down]

    def _work(self, name: str, ledger: Ledger) -> bool:
        heads = self._heads(ledger)
        head, timer = self._first(ledger, heads), ledger.next_timer()
        if timer is not None and timer[1].due_at <= self.now and all(item.at > timer[1].due_at for item in heads):
            ledger.fire(*timer, self.now)
        elif head is not None:
            ledger.take(head)
            while ledger.sweeping:
                ledger.sweep()
        else:
            return False
        outputs = [*ledger.draft.outputs, *ledger.closing_records()]
        if self.dies("decided"):  # nothing of it was written
            self.crash(name)
            return True
        for output in outputs:
            self._append(output.topic, output.key, output.value, output.headers)
        if self.dies("committed"):  # all of it was
            self.crash(name)
            return True
        ledger.confirm()
        return True

    def _heads(self, ledger: Ledger) -> list[Item]:
        service = ledger.service
        topics = [topic for topic in self.logs if topic.startswith(service.edges)] if service.edges else []
        topics += [i.topic for i in service.inputs] + ([REGISTRY_TOPIC] if service.registry == "positioned" else [])
        return [item for topic in topics if (item := self._next(ledger, topic)) is not None]

    def _first(self, ledger: Ledger, heads: list[Item]) -> Item | None:
        held = [item for item in heads if self._after(ledger.service, item, heads)]
        return min(held or heads, key=lambda item: item.at, default=None)

    @staticmethod
    def _after(service: Service, item: Item, heads: list[Item]) -> bool:
        """Whether an input that others wait for has something: it comes first."""
        return any(item.topic in other.after for other in service.inputs if any(h.topic == other.topic for h in heads))

    def _next(self, ledger: Ledger, topic: str) -> Item | None:
        offset = ledger.positions.next.get(topic, 0)
        if offset >= len(self.logs[topic]):
            return None
        record = self.logs[topic][offset]
        return Item(topic, 0, offset, record.at, record.key, record.value)

    def _append(self, topic: str, key: bytes, value: bytes | None, headers: Headers = ()) -> None:
        self.logs[topic].append(Record(self.now, key, value, headers))
        if topic == "deliveries" and value is not None and b'"delivery_id"' in value:
            fate = self.fate(json.loads(value)["data"])
            if fate is not None:
                number = len(self.logs[topic]) - 1
                heapq.heappush(self._fates, (self.now + timedelta(minutes=fate[0]), number, fate[1]))
