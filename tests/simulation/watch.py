"""Reads what the simulated services write, record by record, and holds it against what must never be otherwise.

Shares nothing with the services but the contract: whom a release addresses is worked out here once more.
"""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.watch_endpoints import EndpointsWatch
from tests.simulation.world import World

THIRTY_DAYS = timedelta(days=30)
ALLOWED_REFUSALS = {"stale", "id_reused", "exercise_changed", "unknown_release", "secret_in_access", "offboarded"}
"""Form, order, origin, a secret, an exercise: never what a release says."""
VERDICTS = ("approved", "cleared", "licensed", "authorised", "authorized")


def instant(text: str) -> datetime:
    """A time of the wire."""
    return datetime.fromisoformat(text)


class Watch:
    """What has been seen of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.alerts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._versions: dict[int, dict[str, Any]] = {}
        self._statements: dict[tuple[str, int], dict[str, Any]] = {}
        self._read: dict[str, int] = defaultdict(int)
        self._ids: set[str] = set()
        self._revisions: dict[str, int] = defaultdict(int)
        self._windows: dict[str, dict[str, Any]] = {}
        self._opened: dict[tuple[str, int], str] = {}
        self._ended: set[tuple[str, int]] = set()
        self._sequences: dict[tuple[str, str], int] = defaultdict(int)
        self._told: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self._mirrored: dict[str, list[str]] = defaultdict(list)
        self._endpoints = EndpointsWatch()

    def look(self, *, gated: bool = False) -> None:
        """Checks every record since the last look. `gated`: agencies have just spoken, and may have moved nothing."""
        if gated:
            assert self._fresh("announcements", peek=True) == []
            assert self._fresh("windows", peek=True) == []
        for event in self._fresh("registry-versions"):
            self._versions[event["data"]["version"]] = event["data"]
            self._endpoints.see_version(event["data"])
        assert self.world.logs["dead-letters"] == []
        see = {
            "announcements": self._see_announcement,
            "windows": self._see_window,
            "alerts": self._see_alert,
            "acknowledgements": self._see_acknowledgement,
            "delivery-outcomes": self._see_outcome,
            "deliveries": self._see_delivery,
        }
        for topic, check in see.items():
            for event in self._fresh(topic):
                assert event["id"] not in self._ids, f"twice: {event}"
                self._ids.add(event["id"])
                check(event)
        self._endpoints.look()
        for topic in [name for name in self.world.logs if name.startswith(("alerts.", "receipts."))]:
            for event in self._fresh(topic):
                self._own(topic, event)

    def finish(self) -> None:
        """Checks what must hold once nothing is due any more."""
        self._endpoints.finish()
        for (agency, _), alerts in self._told.items():
            assert alerts, agency
        for agency, alerts in self.alerts.items():
            assert self._mirrored[agency] == [alert["alert_id"] for alert in alerts]
        for window in self._windows.values():
            assert window["status"] in {"closed", "withdrawn", "not-offered"}, window
        for topic in [name for name in self.world.logs if name.startswith(("releases.", "acks."))]:
            answers = self.world.events(f"receipts.{topic.partition('.')[2]}", "receipt.")
            assert len(answers) == len(self.world.logs[topic]), f"{topic}: every event gets one receipt"

    def _fresh(self, topic: str, *, peek: bool = False) -> list[dict[str, Any]]:
        records = self.world.logs[topic][self._read[topic] :]
        if not peek:
            self._read[topic] += len(records)
        for record in records:
            text = (record.value or b"").decode().lower()
            assert not any(verdict in text for verdict in VERDICTS)
        return [json.loads(record.value or b"{}") | {"appended": record.at} for record in records]

    def _see_announcement(self, event: dict[str, Any]) -> None:
        said = event["data"]["announcement"]
        assert said["revision"] == self._revisions[said["release_id"]] + 1, "a revision was lost or came twice"
        self._revisions[said["release_id"]] += 1

    def _see_window(self, event: dict[str, Any]) -> None:
        data, window = event["data"], event["data"]["window"]
        release_id, life = window["release_id"], window["life"]
        before = self._windows.get(release_id)
        assert before is None or (window["life"], window["revision"]) >= (before["life"], before["revision"])
        assert (release_id, life) not in self._ended, "something befell a window after its end"
        self._windows[release_id] = window
        self._endpoints.see_window(window)
        self._statements[release_id, window["revision"]] = window["statement"]
        release_at = instant(window["statement"]["trusted_partner_release_at"])
        if event["type"] == "herald.window.scheduled.v1":
            assert release_at - THIRTY_DAYS <= instant(window["opens_at"]) < instant(window["closes_at"])
        if window["status"] in {"scheduled", "open"}:
            assert instant(window["closes_at"]) <= release_at
        if "opened_at" in window:
            assert self._opened.setdefault((release_id, life), window["opened_at"]) == window["opened_at"]
        if "due_at" in data:
            assert instant(data["due_at"]) <= instant(data["happened_at"]) <= self.world.now, "too early"
        if window["status"] in {"closed", "withdrawn"}:
            self._ended.add((release_id, life))

    def _see_alert(self, event: dict[str, Any]) -> None:
        alert = event["data"]
        agency, release_id = alert["agency"], alert["release_id"]
        before = self._told[agency, release_id]
        assert alert["sequence"] == len(before) + 1, "an alert was lost, came twice, or out of order"
        if alert["kind"] == "no-longer-addressed":
            assert "content" not in alert
            assert before, "who never heard of a release does not hear that it is over"
        else:
            statement, lab = self._statements[release_id, alert["revision"]], self._windows[release_id]["lab"]
            concerned = addressed(statement, lab, self._versions[alert["registry_version"]]["agencies"])
            assert "repeats" in alert or agency in concerned, f"{agency} was told of what is not addressed to it"
        assert _keys(alert).isdisjoint({"audience", "agencies", "exclude"}), "an alert lists whom else it concerns"
        before.append(alert)
        self.alerts[agency].append(alert)
        self._endpoints.see_alert(alert)

    def _see_acknowledgement(self, event: dict[str, Any]) -> None:
        data = event["data"]
        known = {alert["alert_id"] for alert in self.alerts[data["agency"]]}
        assert data["alert_id"] in known, "an answer to an alert that was never sent"
        if "disposition" in data:
            self._endpoints.see_answer(data, event["appended"])

    def _see_outcome(self, event: dict[str, Any]) -> None:
        self._endpoints.see_outcome(event["type"], event["data"], event["appended"])

    def _see_delivery(self, event: dict[str, Any]) -> None:
        assert event["subject"] == f"{event['data']['agency']}/{event['data']['endpoint']}"
        self._endpoints.see_delivery(event["type"], event["data"])

    def _own(self, topic: str, event: dict[str, Any]) -> None:
        """An agency's or lab's own topic: nothing of anybody else's."""
        family, _, owner = topic.partition(".")
        data = event["data"]
        if family == "alerts":
            assert data["agency"] == owner
            self._mirrored[owner].append(data["alert_id"])
        elif event["type"] == "herald.disclosure.made.v1":
            assert data["lab"] == owner
        else:
            assert data["participant"] == owner
            if topic in {f"receipts.{lab}" for lab in self._versions[1]["labs"]}:
                assert {reason["code"] for reason in data.get("reasons", ())} <= ALLOWED_REFUSALS


def addressed(statement: dict[str, Any], lab: str, agencies: dict[str, Any]) -> set[str]:
    """Whom a statement addresses under a registry."""
    audience, found = statement["audience"], set()
    for name, agency in agencies.items():
        interests = agency.get("interests", {})
        labs, capabilities = interests.get("labs", "all"), interests.get("capabilities", "all")
        matches = (labs == "all" or lab in labs) and (
            capabilities == "all" or not set(capabilities).isdisjoint(statement.get("capabilities", ()))
        )
        chosen = name in audience["agencies"] if audience["mode"] == "listed" else matches
        drills = agency.get("exercises", False) or not statement.get("exercise", False)
        if chosen and drills and name not in audience.get("exclude", ()):
            found.add(name)
    return found


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_keys(each) for each in value.values()))
    return set().union(*(_keys(each) for each in value)) if isinstance(value, list) else set()
