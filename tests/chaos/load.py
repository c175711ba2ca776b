"""Labs that state and agencies that answer, each a client of its own, and what each of them has said and heard."""

import asyncio
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from schemas.registry import Registry
from schemas.watchdog import enrolled
from services.kernel.clock import SystemClock
from tests.broker.compare import Account
from tests.broker.flow import AGENCIES, CHOSEN, LABS, RELEASES_A_LAB, registry, release
from tests.broker.receivers import Hooks, Mails
from tests.chaos.client import Got, Sender, reading
from tests.chaos.doors import Doors

WAVERING = ("lab-b", "agency-c")
"""Whether this agency hears of this lab's releases changes with the registry."""

HOOKED, MAILED = "agency-a", "agency-b"
STATES, ANSWERS, POLLS = "lab-a", "agency-b", "agency-c"
"""By the door: this lab states some releases, one agency answers some alerts, and another reads all of its own."""

BY_DOOR_SECONDS = 1.5
"""Between two statements by the door."""

ANSWERED_BY_DOOR = 8
"""One answer of so many."""

TIMED_EVERY = 6
PATIENCE_SECONDS = 60.0
"""So long nothing at all is heard before what is still to come is given up."""


def registered(version: int, hooked: Hooks, mailed: Mails) -> Registry:
    """Two agencies are told by webhook and mail too; under even versions the wavering one wants lab-a's news alone."""
    raw: dict[str, Any] = json.loads(registry().model_dump_json())
    about = {"tier": "watch", "per_minute": 6000}
    web = {"channel": "webhook", "url": f"{hooked.address}/hook", "secrets": ["env:HOOK_SECRET"]}
    raw["agencies"][HOOKED]["endpoints"] = {"hook": about | web}
    raw["agencies"][ANSWERS]["shares_answers"] = True
    raw["agencies"][MAILED]["endpoints"] = {"desk": about | {"channel": "email", "to": "desk@agency-b.example"}}
    if not addresses(version):
        raw["agencies"][WAVERING[1]]["interests"] = {"labs": ["lab-a"]}
    raw |= {"version": version, "mail": mailed.relay, "allow_networks": ["127.0.0.0/8"]}
    return enrolled(Registry.model_validate_json(json.dumps(raw)))


def addresses(version: int) -> bool:
    """Whether this version of the registry lets the wavering agency know of the wavering lab's releases."""
    return version % 2 == 1


@dataclass(slots=True)
class Load:
    """All clients. `version`: of the registry that was applied last."""

    bootstrap_servers: str
    prefix: str
    clock: SystemClock
    per_second: float
    version: int = 1
    doors: Doors = field(default_factory=Doors)
    stated: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    timed: dict[tuple[str, str], str] = field(default_factory=dict)
    ends: datetime | None = None
    """When the last timed window closes."""
    answered: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    got: dict[str, list[Got]] = field(default_factory=lambda: defaultdict(list))
    """By topic: what was read of it as it came."""
    receipted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By participant: the ids of its events that it has a receipt of."""
    again: int = 0
    """What had to be said again, since Kafka did not take it for sure."""
    _latest: dict[tuple[str, str | None, str | None], dict[str, Any]] = field(default_factory=dict)
    """By agency, lab and reference: its last alert with content that repeats no other."""
    _heard: float = 0.0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _labs: list[asyncio.Task[None]] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Labs state, agencies answer, and all read."""
        for agency in AGENCIES:
            waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            self._tasks.append(asyncio.create_task(self._told(agency, waiting)))
            self._tasks.append(asyncio.create_task(self._answer(agency, waiting)))
        self._tasks += [asyncio.create_task(self._receipts(each)) for each in (*LABS, *AGENCIES)]
        self._tasks.append(asyncio.create_task(self.doors.poll(POLLS)))
        self._labs = [asyncio.create_task(self._state(lab)) for lab in LABS]
        self._labs.append(asyncio.create_task(self._state_by_door(STATES)))

    @property
    def statements(self) -> int:
        """How many stand in the labs' topics."""
        return sum(map(len, self.stated.values())) + len(self.timed)

    def account(self) -> Account:
        """What went in."""
        wavering = frozenset({WAVERING})
        return Account(AGENCIES, CHOSEN, dict(self.stated), self.timed, dict(self.answered), wavering)

    async def settle(self) -> None:
        """No more statements; returns once nothing is to come any more, or nothing has come for long."""
        self._stop.set()
        await asyncio.wait(self._labs, timeout=PATIENCE_SECONDS)
        self._heard = time.monotonic()
        while time.monotonic() - self._heard < PATIENCE_SECONDS:
            broken = [task for task in self._tasks if task.done()]
            for task in broken:
                task.result()
            if self.ends is not None and self.clock.now() < self.ends:
                self._heard = time.monotonic()
            elif self._is_complete():
                break
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)  # what would be too many has time to come, too

    async def stop(self) -> None:
        """Ends all clients."""
        for task in (*self._labs, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._labs, *self._tasks, return_exceptions=True)

    def _is_complete(self) -> bool:
        for (lab, reference), ids in self.stated.items():
            for agency in AGENCIES:
                told = self._latest.get((agency, lab, reference))
                if (lab, agency) == WAVERING and not addresses(self.version):
                    continue
                if told is None or told["content"]["handling"] != ids[-1]:
                    return False
        for lab, reference in self.timed:
            if any((told := self._latest.get((a, lab, reference))) and told["kind"] != "closed" for a in CHOSEN):
                return False
        wanted = {lab: {i for (one, _), ids in self.stated.items() if one == lab for i in ids} for lab in LABS}
        for (lab, _), event_id in self.timed.items():
            wanted[lab].add(event_id)
        wanted |= {a: {f"{a}-{alert_id}" for alert_id in self.answered[a]} for a in AGENCIES}
        if any(len(self.answered[a]) < len(self.got[f"alerts.{a}"]) for a in AGENCIES):
            return False
        if len(self.doors.polled[POLLS]) < len(self.got[f"alerts.{POLLS}"]):
            return False
        return all(wanted[each] <= self.receipted[each] for each in (*LABS, *AGENCIES))

    async def _state(self, lab: str) -> None:
        sender, number = Sender(self.bootstrap_servers, f"{self.prefix}releases.{lab}"), 0
        source = f"/labs/{lab}"
        while not self._stop.is_set():
            event_id = f"{lab}-{number}"
            if number % TIMED_EVERY == TIMED_EVERY - 1:
                now, reference = self.clock.now(), f"t-{number}"
                closes = now + timedelta(hours=100)
                data = release(
                    reference,
                    trusted_partner_release_at=closes.isoformat(),
                    early_access={"opens": (now + timedelta(hours=20)).isoformat()},
                    audience={"mode": "listed", "agencies": list(CHOSEN)},
                )
                await sender.say(_event(event_id, source, "release.announced", data))
                self.timed[lab, reference] = event_id
                self.ends = closes
            else:
                reference = f"m-{number % RELEASES_A_LAB}"
                data = release(reference, handling=event_id)
                await sender.say(_event(event_id, source, "release.announced", data))
                self.stated[lab, reference].append(event_id)
            number += 1
            await asyncio.sleep(len(LABS) / self.per_second)
        self.again += sender.again

    async def _state_by_door(self, lab: str) -> None:
        number = 0
        while not self._stop.is_set():
            event_id, reference = f"{lab}-door-{number}", f"d-{number % 2}"
            data = release(reference, handling=event_id)
            await self.doors.say(lab, "/v1/releases", data, event_id, wait=number % 2 * 4)
            self.stated[lab, reference].append(event_id)
            number += 1
            await asyncio.sleep(BY_DOOR_SECONDS)

    async def _told(self, agency: str, waiting: asyncio.Queue[dict[str, Any]]) -> None:
        topic = f"alerts.{agency}"
        async for one in reading(self.bootstrap_servers, self.prefix + topic):
            self.got[topic].append(one)
            self._heard = time.monotonic()
            alert = json.loads(one.value)["data"]
            if "repeats" not in alert:
                content = alert.get("content") or {}
                self._latest[agency, content.get("lab"), content.get("reference")] = alert
            waiting.put_nowait(alert)

    async def _answer(self, agency: str, waiting: asyncio.Queue[dict[str, Any]]) -> None:
        sender = Sender(self.bootstrap_servers, f"{self.prefix}acks.{agency}")
        while True:
            alert = await waiting.get()
            data = {"alert_id": alert["alert_id"], "release_id": alert["release_id"], "disposition": "received"}
            event_id, source = f"{agency}-{alert['alert_id']}", f"/agencies/{agency}"
            if agency == ANSWERS and len(self.answered[agency]) % ANSWERED_BY_DOOR == 0:
                path = f"/v1/alerts/{alert['alert_id']}/acknowledgement"
                await self.doors.say(agency, path, {"disposition": "received"}, event_id, wait=0)
            else:
                await sender.say(_event(event_id, source, "acknowledgement.submitted", data))
            self.answered[agency].append(alert["alert_id"])

    async def _receipts(self, participant: str) -> None:
        topic = f"receipts.{participant}"
        async for one in reading(self.bootstrap_servers, self.prefix + topic):
            self.got[topic].append(one)
            self._heard = time.monotonic()
            event = json.loads(one.value)
            if ".receipt." in event["type"]:
                self.receipted[participant].add(event["data"]["event_id"])


def _event(event_id: str, source: str, kind: str, data: dict[str, Any]) -> bytes:
    event = {"specversion": "1.0", "id": event_id, "source": source, "type": f"herald.{kind}.v1", "data": data}
    return json.dumps(event).encode()
