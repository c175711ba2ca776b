"""What a run of faults must not have changed: more than tests/broker/compare.py asks, from what the clients have heard.

Shares nothing with the services but the contract.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.broker.clocks import BEGINS
from tests.broker.compare import Comparison, Json
from tests.broker.deployment import Deployment
from tests.broker.receivers import Hooks, Mails
from tests.chaos.load import HOOKED, MAILED, WAVERING, Load, addresses
from tests.chaos.schedule import STEPPED_SECONDS

LATEST_SECONDS = 5.0
"""So late a timer may be in real time, not counting the time in which something was wrong."""

GONE = "no-longer-addressed"


@dataclass(slots=True)
class Times:
    """Herald's time, which began at `BEGINS`, in real seconds since 1970; and when something was wrong."""

    began: datetime
    rate: float
    troubled: list[tuple[float, float]] = field(default_factory=list)

    def late(self, due: str, at_ms: int) -> float:
        """So many seconds of undisturbed time lie between what was due and when it came."""
        asked = self.began.timestamp() + (datetime.fromisoformat(due) - BEGINS).total_seconds() / self.rate
        came = at_ms / 1000
        return came - asked - sum(max(0.0, min(came, end) - max(asked, start)) for start, end in self.troubled)


class Checker(Comparison):
    """One check of a whole run. `latest`: the longest that a timer was late, in undisturbed seconds."""

    def __init__(self, deployment: Deployment, load: Load, times: Times, hooked: Hooks, mailed: Mails) -> None:
        super().__init__(deployment, load.account(), timedelta(seconds=max(STEPPED_SECONDS) * times.rate))
        self._load, self._times, self._hooked, self._mailed = load, times, hooked, mailed
        self.latest = 0.0
        self.timers = 0

    async def run(self) -> None:
        """Everything that may not differ."""
        await super().run()
        await self._heard()
        await self._timers()
        await self._routed()
        await self._waves()
        await self._deliveries()

    async def _receipts(self) -> None:
        """Every event has one; repeats, which what is said twice may have, are the same byte for byte."""
        account = self._account
        wanted: dict[str, set[str]] = defaultdict(set)
        for (lab, _), ids in account.stated.items():
            wanted[lab] |= set(ids)
        for (lab, _), event_id in account.timed.items():
            wanted[lab].add(event_id)
        for agency, answered in account.answered.items():
            wanted[agency] |= {f"{agency}-{alert_id}" for alert_id in answered}
        for participant, asked in wanted.items():
            found: dict[str, set[bytes]] = defaultdict(set)
            for record in await self._deployment.read(f"receipts.{participant}"):
                event = json.loads(record.value)
                if ".receipt." in event["type"]:
                    found[event["data"]["event_id"]].add(record.value)
            self._same(f"receipts of {participant}", sorted(found), sorted(asked))
            if several := sum(len(values) > 1 for values in found.values()):
                self.differences.append(f"{several} events of {participant} have receipts that differ")

    async def _heard(self) -> None:
        """A client that read along has got just what the topic holds, in that order."""
        for topic, got in self._load.got.items():
            there = [(record.offset, record.value) for record in await self._deployment.read(topic)]
            found = [(one.offset, one.value) for one in got]
            if found != there:
                lost, extra = Counter(there) - Counter(found), Counter(found) - Counter(there)
                many = f"{lost.total()} that the topic holds not heard, {extra.total()} heard that it does not hold"
                self.differences.append(f"the reader of {topic}: {many}, or out of order")

    async def _timers(self) -> None:
        """What came by time: the window's change, the reminder, and the alert as its agency's topic took it."""
        came: list[tuple[str, str, int]] = []
        for topic in ("windows", "reminders"):
            for record in await self._deployment.read(topic, self._deployment.partitions):
                event = json.loads(record.value)
                if due := event["data"].get("due_at"):
                    came.append((f"{event['type']} of {event['subject']}", due, record.timestamp))
        for topic, got in self._load.got.items():
            for one in got:
                data = json.loads(one.value)["data"]
                if topic.startswith("alerts.") and data.get("due_at"):
                    came.append((f"{data['kind']} of {data['release_id']} on {topic}", data["due_at"], one.at))
        self.timers = len(came)
        late = sorted(((self._times.late(due, at), what) for what, due, at in came), reverse=True)
        self.latest = late[0][0] if late else 0.0
        found = [(seconds, what) for seconds, what in late if seconds > LATEST_SECONDS]
        if found:
            worst = f"{found[0][1]} by {found[0][0]:.1f} s"
            self.differences.append(f"{len(found)} timers later than {LATEST_SECONDS:g} s, the latest {worst}")

    async def _routed(self) -> None:
        """Under one version of the registry after the other, and to whom that version addresses."""
        for partition in range(self._deployment.partitions):
            versions, back, wrong = 0, 0, 0
            for record in await self._deployment.read("alerts", only=partition):
                alert = json.loads(record.value)["data"]
                version = alert["registry_version"]
                back += version < versions
                versions = max(versions, version)
                if alert["agency"] == WAVERING[1] and "repeats" not in alert:
                    lab = alert["content"]["lab"] if "content" in alert else WAVERING[0]
                    may = lab != WAVERING[0] or addresses(version)
                    wrong += may != (alert["kind"] != GONE)
            if back:
                self.differences.append(f"{back} alerts of shard {partition} under a stale version of the registry")
            if wrong:
                self.differences.append(f"{wrong} alerts of shard {partition} to the wrong agency")

    async def _waves(self) -> None:
        """The wavering agency hears each revision while it is addressed, and once that it no longer is."""
        lab, agency = WAVERING
        by_release: dict[str, list[Json]] = defaultdict(list)
        for event in await self._deployment.events(f"alerts.{agency}"):
            if "repeats" not in event["data"]:
                by_release[event["data"]["release_id"]].append(event["data"])
        windows = await self._deployment.events("windows", self._deployment.partitions)
        ids = {e["data"]["window"]["statement"]["reference"]: e["subject"] for e in windows if _lab(e) == lab}
        for (one, reference), wanted in self._account.stated.items():
            if one == lab:
                self._wave(f"{lab}/{reference}", by_release[ids.get(reference, "")], wanted)

    def _wave(self, key: str, told: list[Json], wanted: list[str]) -> None:
        at, addressed = -1, False
        for alert in told:
            if alert["kind"] == GONE:
                if not addressed:
                    self.differences.append(f"the wavering agency was told twice that {key} is not for it")
                addressed = False
                continue
            now = wanted.index(alert["content"]["handling"])
            if now != at + 1 if addressed else now < at:
                self.differences.append(f"the wavering agency heard revision {now + 1} of {key} after {at + 1}")
            at, addressed = now, True
        if addresses(self._load.version) != addressed or (addressed and at != len(wanted) - 1):
            self.differences.append(f"the wavering agency does not know how {key} stands in the end")

    async def _deliveries(self) -> None:
        """Each that was asked for has one end; what was delivered was taken, by whom it was for."""
        requested: dict[str, Json] = {}
        for event in await self._deployment.events("deliveries", self._deployment.partitions):
            if event["type"] == "herald.delivery.requested.v1":
                requested[event["data"]["delivery_id"]] = event["data"]
        ends: dict[str, list[str]] = defaultdict(list)
        for event in await self._deployment.events("delivery-outcomes", self._deployment.partitions):
            if (kind := event["type"].split(".")[2]) in {"succeeded", "abandoned"}:
                ends[event["data"]["delivery_id"]].append(kind)
        taken = {HOOKED: set(self._hooked.ids("/hook")), MAILED: set(self._mailed.ids())}
        several = [one for one, kinds in ends.items() if len(kinds) > 1]
        endless = list(requested.keys() - ends.keys())
        unasked = list(ends.keys() - requested.keys())
        for what, found in (("more than one end", several), ("no end", endless), ("not been asked for", unasked)):
            if found:
                self.differences.append(f"{len(found)} deliveries have {what}")
        for agency, alerts in taken.items():
            asked = {one["alert"]["alert_id"] for one in requested.values() if one["agency"] == agency}
            succeeded = {
                one["alert"]["alert_id"]
                for name, one in requested.items()
                if one["agency"] == agency and "succeeded" in ends[name]
            }
            if missing := succeeded - alerts:
                self.differences.append(f"{len(missing)} deliveries to {agency} succeeded, and were never taken")
            if strange := alerts - asked:
                self.differences.append(f"{len(strange)} alerts reached {agency} that were not for it")


def _lab(event: dict[str, Any]) -> str:
    found: str = event["data"]["window"]["lab"]
    return found
