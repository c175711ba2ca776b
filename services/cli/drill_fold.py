"""What came of a drill, folded from topics: who has got it, how fast, and who answered. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from schemas.acknowledgement import AcknowledgementRecorded
from schemas.alert import AlertIssued
from schemas.audit import AccessAudited
from schemas.delivery import DeliveryCancelled, delivery_id
from schemas.envelope import reader
from schemas.registry import Agency
from schemas.topics import ACKNOWLEDGEMENTS
from schemas.values import rfc3339
from services.cli.delivery_fold import Account, Delivery, Status
from services.cli.drill_plan import Held

TOPICS = ("alerts", "deliveries", "delivery-outcomes", "acknowledgements", "audit")
"""Those that tell of a drill."""

GOOD = frozenset({"written", "taken", "acknowledged"})
"""How each part of the report is where an agency is ready."""

_ALERTS, _ANSWERS, _AUDIT = reader(AlertIssued), reader(*ACKNOWLEDGEMENTS), reader(AccessAudited)
_MEANS = {"link": "by its link", "token": "over HTTP"}
_KAFKA = "over Kafka"


class Readiness:
    """One drill. `agencies`: whom it is for, as the registry has them."""

    def __init__(self, drill: Held, agencies: Mapping[str, Agency]) -> None:
        self.drill = drill
        self.agencies = agencies
        self.seen_at: datetime | None = None
        self._alerts: dict[str, AlertIssued] = {}
        self._answers: dict[str, AcknowledgementRecorded] = {}
        self._means: dict[str, str] = {}
        self._account = Account()

    def take(self, topic: str, value: bytes, appended_ms: int) -> AlertIssued | None:
        """A record of one of the topics. An agency's first alert is returned: its other endpoints can be asked then."""
        if self.drill.release_id.encode() not in value:
            return None
        match topic:
            case "alerts":
                return self._alert(_ALERTS.validate_json(value, extra="ignore").data)
            case "deliveries":
                self._account.ask(value, appended_ms)
            case "delivery-outcomes":
                self._account.settle(value, appended_ms)
            case "acknowledgements":
                answer = _ANSWERS.validate_json(value, extra="ignore").data
                if isinstance(answer, AcknowledgementRecorded):
                    self._answers.setdefault(answer.agency, answer)
                    self._saw(answer.recorded_at)
            case "audit":
                entry = _AUDIT.validate_json(value, extra="ignore").data
                if entry.action == "alert.acknowledge" and entry.participant is not None:
                    means = _MEANS.get(entry.credential.partition("/")[0])
                    if means is not None:
                        self._means.setdefault(entry.participant, means)
        return None

    @property
    def is_ready(self) -> bool:
        """Whether every endpoint has taken it, and every agency has answered in time."""
        return all(row["outcome"] in GOOD for row in self.rows())

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come that would change the report."""
        return all(row["outcome"] in {*GOOD, "abandoned", "late"} for row in self.rows())

    def rows(self) -> Iterator[dict[str, Any]]:
        """The report: of each agency its topic, its endpoints, its answer."""
        for name, agency in self.agencies.items():
            alert = self._alerts.get(name)
            yield _topic(name, alert)
            for endpoint, declared in sorted(agency.endpoints.items()):
                found = self._delivery(alert, endpoint)
                where = {"what": "endpoint", "agency": name, "endpoint": endpoint, "channel": declared.channel}
                yield where | {"tier": declared.tier} | _endpoint(alert, found)
            yield self._acknowledgement(name, alert)

    def unsettled(self) -> list[DeliveryCancelled]:
        """What takes back that which would be tried on and on after the drill."""
        return [
            DeliveryCancelled(
                agency=name,
                endpoint=endpoint,
                release_id=alert.release_id,
                sequence=alert.sequence,
                reason="superseded",
            )
            for name, alert in self._alerts.items()
            for endpoint in sorted(self.agencies[name].endpoints if name in self.agencies else ())
            if _endpoint(alert, self._delivery(alert, endpoint))["outcome"] in {"failing", "nothing-yet"}
        ]

    def _alert(self, alert: AlertIssued) -> AlertIssued | None:
        self._saw(alert.issued_at)
        if alert.agency in self._alerts:
            return None
        self._alerts[alert.agency] = alert
        return alert

    def _saw(self, at: datetime) -> None:
        self.seen_at = max(self.seen_at or at, at)

    def _delivery(self, alert: AlertIssued | None, endpoint: str) -> Delivery | None:
        if alert is None:
            return None
        return self._account.deliveries.get(delivery_id(alert.alert_id, alert.agency, endpoint))

    def _acknowledgement(self, name: str, alert: AlertIssued | None) -> dict[str, Any]:
        row: dict[str, Any] = {"what": "acknowledgement", "agency": name}
        answer = self._answers.get(name)
        if answer is None:
            return row | {"outcome": "not-acknowledged"}
        return row | {
            "outcome": "late" if answer.late else "acknowledged",
            "disposition": answer.disposition,
            "means": self._means.get(name, _KAFKA),
            "at": rfc3339(answer.recorded_at),
            "seconds": _seconds(alert, answer.recorded_at),
        }


def _topic(name: str, alert: AlertIssued | None) -> dict[str, Any]:
    """An alert is written to the agency's topic and to `alerts` in one transaction."""
    row: dict[str, Any] = {"what": "topic", "agency": name}
    if alert is None:
        return row | {"outcome": "nothing-yet"}
    return row | {"outcome": "written", "alert_id": alert.alert_id, "at": rfc3339(alert.issued_at)}


def _endpoint(alert: AlertIssued | None, found: Delivery | None) -> dict[str, Any]:
    """How it went on one endpoint. What it took stays taken, should it be asked again."""
    if found is None or not found.outcomes:
        return {"outcome": "nothing-yet", "attempts": 0}
    taken = next((n for n, outcome in enumerate(found.outcomes) if outcome.status is Status.TAKEN), None)
    if taken is not None:
        at = found.outcomes[taken].at
        attempts = sum(outcome.is_attempt for outcome in found.outcomes[: taken + 1])
        seconds = _seconds(alert, datetime.fromisoformat(at))
        return {"outcome": "taken", "attempts": attempts, "at": at, "seconds": seconds}
    last = found.outcomes[-1]
    failure = next((outcome.failure for outcome in reversed(found.outcomes) if outcome.failure), None)
    outcome = "failing" if last.status is Status.FAILING else "abandoned"
    return {"outcome": outcome, "attempts": found.attempts, "reason": failure or last.ending}


def _seconds(alert: AlertIssued | None, at: datetime) -> float | None:
    return round(max((at - alert.issued_at).total_seconds(), 0), 3) if alert is not None else None
