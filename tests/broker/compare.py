"""Compares what came out of a deployment with what went in, record by record.

Lost, repeated, out of order, too early, told to the wrong agency, or a state that is not what the topics say. Shares
nothing with the services but the contract.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.broker.deployment import Deployment

Json = dict[str, Any]
COURSE = ["scheduled", "opened", "closing-soon", "closed"]
"""Of a timed window; one that was heard of late may have missed its first steps."""


@dataclass(frozen=True, slots=True)
class Account:
    """What went in: event ids by lab and reference, in order; alert ids answered by agency.

    `wavering`: whether this agency hears of this lab's releases changed meanwhile, so that it heard some of it.
    """

    agencies: tuple[str, ...]
    chosen: tuple[str, ...]
    stated: dict[tuple[str, str], list[str]]
    timed: dict[tuple[str, str], str]
    answered: dict[str, list[str]]
    wavering: frozenset[tuple[str, str]] = frozenset()


class Comparison:
    """One comparison: the differences that it has found. `ahead`: so far a service's clock was at most."""

    def __init__(self, deployment: Deployment, account: Account, ahead: timedelta = timedelta(0)) -> None:
        self.differences: list[str] = []
        self._ahead = ahead
        self._deployment = deployment
        self._account = account

    async def run(self) -> None:
        """Reads every topic and compares."""
        read, partitions, account = self._deployment.events, self._deployment.partitions, self._account
        windows, alerts = await read("windows", partitions), await read("alerts", partitions)
        announced = [event["data"]["announcement"] for event in await read("announcements", partitions)]
        await self._receipts()
        for (lab, reference), wanted in account.stated.items():
            self._followed(lab, reference, wanted, announced, windows, alerts)
        for (lab, reference), _ in account.timed.items():
            self._lived(f"{lab}/{reference}", _of(windows, lab, reference), alerts)
        for agency in account.agencies:
            mine = [event for event in alerts if event["data"]["agency"] == agency]
            self._chased(agency, [event["data"] for event in mine])
            own = await read(f"alerts.{agency}")
            self._same(f"topic of {agency}", sorted(e["id"] for e in own), sorted(e["id"] for e in mine))
        await self._answers()
        await self._states(announced, windows, alerts)
        if letters := await self._deployment.read("dead-letters", partitions):
            self.differences.append(f"{len(letters)} dead letters")

    def _same(self, what: str, found: list[str], wanted: list[str]) -> None:
        if said := different(what, found, wanted):
            self.differences.append(said)

    async def _receipts(self) -> None:
        account = self._account
        for lab in {lab for lab, _ in account.stated}:
            wanted = [i for (one, _), ids in account.stated.items() if one == lab for i in ids]
            wanted += [event_id for (one, _), event_id in account.timed.items() if one == lab]
            receipts = [e for e in await self._deployment.events(f"receipts.{lab}") if ".receipt." in e["type"]]
            self._same(f"receipts of {lab}", sorted(e["data"]["event_id"] for e in receipts), sorted(wanted))
        for agency, answered in account.answered.items():
            receipts = await self._deployment.events(f"receipts.{agency}")
            wanted = [f"{agency}-{alert_id}" for alert_id in answered]
            self._same(f"receipts of {agency}", sorted(e["data"]["event_id"] for e in receipts), sorted(wanted))

    def _followed(
        self,
        lab: str,
        reference: str,
        wanted: list[str],
        announced: list[Json],
        windows: list[Json],
        alerts: list[Json],
    ) -> None:
        """Every statement of a release through every hop, in order."""
        key, numbers = f"{lab}/{reference}", [str(n + 1) for n in range(len(wanted))]
        mine = [a for a in announced if (a["lab"], a["statement"]["reference"]) == (lab, reference)]
        self._same(f"announcements of {key}", [a["statement"]["handling"] for a in mine], wanted)
        self._same(f"revisions of {key}", [str(a["revision"]) for a in mine], numbers)
        seen = [event["data"]["window"] for event in _of(windows, lab, reference)]
        self._same(f"windows of {key}", [w["statement"]["handling"] for w in seen], wanted)
        for agency in self._account.agencies:
            if (lab, agency) in self._account.wavering:
                continue
            told = [a["content"]["handling"] for a in _told(alerts, agency, key) if "repeats" not in a]
            self._same(f"alerts of {key} to {agency}", told, wanted)

    def _lived(self, key: str, windows: list[Json], alerts: list[Json]) -> None:
        """A timed window: in order, none too early, to its end, and told to whom it concerns alone."""
        course = [event["type"].split(".")[2] for event in windows]
        late = course in (["not-offered"], ["withdrawn"])
        if not late and (course not in (COURSE, COURSE[1:], ["opened", "closed"]) or course[-1] != "closed"):
            self.differences.append(f"window of {key}: {course}")
        for event in windows:
            due = event["data"].get("due_at")
            if due is not None and _instant(event["data"]["happened_at"]) < _instant(due):
                self.differences.append(f"window of {key}: {event['type']} too early")
        for agency in self._account.agencies:
            told = [a["kind"] for a in _told(alerts, agency, key) if "repeats" not in a]
            wanted = course if agency in self._account.chosen and not late else []
            self._same(f"alerts of {key} to {agency}", told, wanted)

    def _chased(self, agency: str, alerts: list[Json]) -> None:
        """Numbers without a gap; a reminder once a tier, and not before the answer was due."""
        by_release: dict[str, list[Json]] = defaultdict(list)
        for alert in alerts:
            by_release[alert["release_id"]].append(alert)
        for release_id, told in by_release.items():
            numbers = [str(n + 1) for n in range(len(told))]
            self._same(f"sequences of {release_id} to {agency}", [str(a["sequence"]) for a in told], numbers)
            repeats = [a for a in told if "repeats" in a]
            if len({(a["repeats"], a["tier"], a["chase"]) for a in repeats}) < len(repeats):
                self.differences.append(f"{agency} was reminded twice of {release_id}")
            for alert in repeats:
                due = min(_instant(answer["due_at"]) for answer in alert["answer_by"])
                if _instant(alert["issued_at"]) + self._ahead < due:  # Kafka's time, what is due goes by the service's
                    self.differences.append(f"{agency} was reminded of {release_id} too early")

    async def _answers(self) -> None:
        recorded = await self._deployment.events("acknowledgements", self._deployment.partitions)
        answers = [e["data"] for e in recorded if ".recorded." in e["type"]]
        for agency, answered in self._account.answered.items():
            mine = [a["alert_id"] for a in answers if a["agency"] == agency]
            if self._account.timed:  # an answer to a reminder, after the alert itself was answered, changes nothing
                answered = [alert_id for alert_id in answered if alert_id in set(mine)]  # noqa: PLW2901
            self._same(f"acknowledgements of {agency}", sorted(mine), sorted(answered))

    async def _states(self, announced: list[Json], windows: list[Json], alerts: list[Json]) -> None:
        """Each service's state is what its topic says last."""
        last = {a["release_id"]: a["revision"] for a in announced}
        for key, state in (await self._state("announcements")).items():
            if state["announcement"]["revision"] != last[key]:
                self.differences.append(f"state of announcements: {key} is not at its last revision")
        now = {e["subject"]: (e["data"]["window"]["revision"], e["data"]["window"]["status"]) for e in windows}
        for key, state in (await self._state("windows")).items():
            window = state.get("window", state)  # of one that ended long ago, that is left
            if (window["revision"], window["status"]) != now[key]:
                self.differences.append(f"state of windows: {key} is not as its last event says")
        told = {(a["data"]["release_id"], a["data"]["agency"]): a["data"]["sequence"] for a in alerts}
        for key, state in (await self._state("notifier")).items():
            for agency, one in state["agencies"].items():
                if one["sequence"] != told.get((key, agency), 0):
                    self.differences.append(f"state of notifier: {key} to {agency} is not at its last sequence")

    async def _state(self, service: str) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for record in await self._deployment.read(f"state.{service}", self._deployment.partitions):
            if not record.key.startswith(b"!"):
                found[record.key.decode()] = json.loads(record.value)
        return found


async def compare(deployment: Deployment, account: Account) -> list[str]:
    """Every difference between what went in and what came out."""
    comparison = Comparison(deployment, account)
    await comparison.run()
    return comparison.differences


def _of(windows: list[Json], lab: str, reference: str) -> list[Json]:
    def where(event: Json) -> tuple[str, str]:
        window = event["data"]["window"]
        return window["lab"], window["statement"]["reference"]

    return [event for event in windows if where(event) == (lab, reference)]


def _told(alerts: list[Json], agency: str, key: str) -> list[Json]:
    mine = [event["data"] for event in alerts if event["data"]["agency"] == agency]
    return [a for a in mine if "content" in a and f"{a['content']['lab']}/{a['content']['reference']}" == key]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def different(what: str, found: list[str], wanted: list[str]) -> str:
    """How what was found differs from what was wanted, in order; empty: not at all."""
    if found == wanted:
        return ""
    lost, extra = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    order = "" if lost or extra else ", out of order"
    return f"{what}: {lost.total()} lost, {extra.total()} too many{order}"
