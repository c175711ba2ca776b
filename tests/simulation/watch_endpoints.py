"""Holds what push endpoints were asked to deliver against what must never be otherwise: the watch's part for them.

Shares nothing with the services but the contract: who is told what, and when the next tier, is worked out once more.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

ALWAYS = {"rescheduled", "withdrawn", "no-longer-addressed"}
ROUTINE = {"closing-soon", "closed"}
FOR_GOOD = {"refused", "disabled", "removed", "backlog-full"}
TEN_MINUTES = timedelta(minutes=10)


@dataclass(slots=True)
class Turn:
    """A tier that was asked to deliver one alert."""

    tier: str
    at: datetime
    endpoints: set[str] = field(default_factory=set)


class EndpointsWatch:
    """What has been seen of deliveries, and of what they follow from."""

    def __init__(self) -> None:
        self._versions: dict[int, dict[str, Any]] = {}
        self._alerts: dict[str, dict[str, Any]] = {}
        self._told: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self._turns: dict[str, list[Turn]] = defaultdict(list)
        self._asked: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._settled: set[str] = set()
        self._ends: dict[str, list[datetime]] = defaultdict(list)
        self._answers: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
        self._lives: dict[str, int] = {}
        self._gone: dict[tuple[str, str], datetime] = {}
        self._fresh: list[dict[str, Any]] = []

    def see_version(self, version: dict[str, Any]) -> None:
        """A registry version."""
        self._versions[version["version"]] = version["agencies"]

    def see_window(self, window: dict[str, Any]) -> None:
        """A window as it stands."""
        self._lives[window["release_id"]] = window["life"]

    def see_alert(self, alert: dict[str, Any]) -> None:
        """An alert: whom it is for is checked once its requests have been seen."""
        self._alerts[alert["alert_id"]] = alert
        self._told[alert["agency"], alert["release_id"]].append(alert)
        self._fresh.append(alert)

    def see_answer(self, answer: dict[str, Any], at: datetime) -> None:
        """An answer that was recorded."""
        self._answers[_root(self._alerts[answer["alert_id"]])].append((answer["alert_id"], at))

    def see_outcome(self, kind: str, outcome: dict[str, Any], at: datetime) -> None:
        """What came of a delivery."""
        self._settled.add(outcome["delivery_id"])
        if "succeeded" in kind:
            self._ends[outcome["alert_id"]].append(at)
        elif outcome["reason"] in FOR_GOOD:
            self._gone.setdefault((outcome["alert_id"], outcome["endpoint"]), at)

    def see_delivery(self, kind: str, data: dict[str, Any]) -> None:
        """A request, or that one is taken back."""
        if "cancelled" in kind:
            last = self._asked.get((data["agency"], data["endpoint"], data["release_id"]))
            assert last is not None, "something is taken back that was never asked"
            if last["alert"]["sequence"] <= data["sequence"]:
                self._settled.add(last["delivery_id"])
            return
        alert = self._alerts[data["alert"]["alert_id"]]
        assert _bare(alert) == _bare(data["alert"]), "an endpoint is told another alert than the agency"
        place = (data["agency"], data["endpoint"], alert["release_id"])
        before = self._asked.get(place)
        assert before is None or before["alert"]["sequence"] < alert["sequence"], "an older alert, or the same twice"
        self._asked[place] = data
        turns = self._turns[alert["alert_id"]]
        if not turns or turns[-1].tier != data["tier"]:
            at = _instant(data["requested_at"])
            self._may_be_asked(alert, turns, at)
            turns.append(Turn(data["tier"], at))
        turns[-1].endpoints.add(data["endpoint"])
        self._is_declared(alert, data)
        small_move = alert["kind"] == "rescheduled" and "chase" not in alert
        assert small_move or data["routine"] is (alert["kind"] in ROUTINE and "chase" not in alert)

    def look(self) -> None:
        """Checks whom each new alert was for, once everything until now has been seen."""
        for alert in self._fresh:
            agency = self._versions[alert["registry_version"]].get(alert["agency"])
            turns = self._turns.get(alert["alert_id"])
            found = (turns[0].tier, turns[0].endpoints) if turns else None
            assert found in _first(agency, alert), f"{alert['agency']}: {found} was asked"
        self._fresh.clear()

    def finish(self) -> None:
        """What must hold once nothing is due any more."""
        for (agency, endpoint, release_id), request in self._asked.items():
            if request["delivery_id"] in self._settled:
                continue
            alerts = self._told[agency, release_id]
            later = alerts[request["alert"]["sequence"] :]
            assert all("chase" in alert for alert in later), f"{endpoint} may still hear what is out of date"
            answered = self._answered(request["alert"], request["alert"]["alert_id"])
            assert not answered, f"{endpoint} may still hear what was answered"
        for alert_id, turns in self._turns.items():
            self._was_not_left_alone(self._alerts[alert_id], turns)

    def _may_be_asked(self, alert: dict[str, Any], turns: list[Turn], at: datetime) -> None:
        """A first turn comes with the alert; another, when nobody of the last has it, and nothing ended that before."""
        newer = self._told[alert["agency"], alert["release_id"]][alert["sequence"] :]
        assert not newer or at <= _instant(newer[0]["issued_at"]), "asked although a newer alert was issued"
        if not turns:
            assert at == _instant(alert["issued_at"])
            return
        ends = [*self._ends[alert["alert_id"]], *self._answered(alert, alert["alert_id"], _root(alert))]
        due = [turns[-1].at + TEN_MINUTES]
        gone = [self._gone.get((alert["alert_id"], endpoint)) for endpoint in turns[-1].endpoints]
        due += [max(instant for instant in gone if instant is not None)] if None not in gone else []
        assert any(each <= at and all(end >= each for end in ends) for each in due), (
            "the next tier is asked for nothing"
        )

    def _answered(self, alert: dict[str, Any], *beyond: str) -> list[datetime]:
        """When it was, by an answer to what it repeats or what repeats it; `beyond` a life's end, to these alone."""
        ended = alert["life"] != self._lives[alert["release_id"]]
        return [at for named, at in self._answers[_root(alert)] if not ended or named in beyond]

    def _is_declared(self, alert: dict[str, Any], request: dict[str, Any]) -> None:
        """Some version since the alert's own has this endpoint in this tier, and lets it be told as much."""
        versions = [v for number, v in self._versions.items() if number >= alert["registry_version"]]
        found = [v[request["agency"]]["endpoints"].get(request["endpoint"]) for v in versions if request["agency"] in v]
        fitting = [e for e in found if e is not None and e["tier"] == request["tier"]]
        assert fitting, f"{request['endpoint']} is not in the registry"
        full = alert["tlp"] != "TLP:RED" and any(e.get("content") == "full" for e in fitting)
        assert full or "content" not in request["alert"], f"{request['endpoint']} is told too much"
        first = len(self._turns[alert["alert_id"]]) == 1
        assert not (full and first) or request["alert"].get("content") == alert.get("content")

    def _was_not_left_alone(self, alert: dict[str, Any], turns: list[Turn]) -> None:
        """Where the registry stayed as it was, somebody of the next tier was asked, unless something ended that."""
        agency = self._versions[alert["registry_version"]][alert["agency"]]
        if alert["kind"] in ROUTINE | {"rescheduled"} or alert["registry_version"] != max(self._versions):
            return
        due = turns[-1].at + TEN_MINUTES
        ended_at = alert.get("content", {}).get("window", {}).get("ended_at")
        if ended_at is not None and _instant(ended_at) + timedelta(days=30) <= due:
            return  # the notifier was down for so long that the window is kept no more
        newer = self._told[alert["agency"], alert["release_id"]][alert["sequence"] :]
        ends = [
            *self._ends[alert["alert_id"]],
            *self._answered(alert, alert["alert_id"], _root(alert)),
            *(_instant(n["issued_at"]) for n in newer),
        ]
        assert any(end <= due for end in ends) or not _after(agency, turns[-1].tier, alert), "nobody else was asked"


def _first(agency: dict[str, Any] | None, alert: dict[str, Any]) -> list[tuple[str, set[str]] | None]:
    """Who may be asked first: the alert's tier; where it has nobody at all, the next, but not if it may wait."""
    if agency is None:
        return [None]
    tier = alert.get("tier", agency["tiers"][0])
    if any(endpoint["tier"] == tier for endpoint in agency["endpoints"].values()):
        wanting = _wanting(agency, tier, alert)
        return [(tier, wanting) if wanting else None]
    small_move = alert["kind"] == "rescheduled" and "chase" not in alert
    routine = alert["kind"] in ROUTINE and "chase" not in alert
    return ([None] if small_move or routine else []) + ([] if routine else [_after(agency, tier, alert)])


def _after(agency: dict[str, Any], tier: str, alert: dict[str, Any]) -> tuple[str, set[str]] | None:
    later = agency["tiers"][agency["tiers"].index(tier) + 1 :]
    return next(((each, wanting) for each in later if (wanting := _wanting(agency, each, alert))), None)


def _wanting(agency: dict[str, Any], tier: str, alert: dict[str, Any]) -> set[str]:
    always = "chase" in alert or alert["kind"] in ALWAYS
    always = always or (alert["short_notice"] and alert["kind"] in {"scheduled", "opened"})
    mine = {name: endpoint for name, endpoint in agency["endpoints"].items() if endpoint["tier"] == tier}
    return {name for name, endpoint in mine.items() if always or alert["kind"] in endpoint["kinds"]}


def _root(alert: dict[str, Any]) -> str:
    """The alert that this one repeats, or itself."""
    return str(alert.get("repeats", alert["alert_id"]))


def _bare(alert: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in alert.items() if name != "content"}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
