"""A load of statements and answers, and the comparison of what came out with what went in, record by record."""

import asyncio
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from schemas.registry import Registry
from tests.broker.deployment import Deployment

LABS = ("lab-a", "lab-b")
AGENCIES = ("agency-a", "agency-b", "agency-c")
RELEASES_A_LAB = 6


def registry() -> Registry:
    """Two labs, and three agencies that take everything."""
    return Registry.model_validate_json(
        json.dumps(
            {
                "version": 1,
                "namespace": "6d1f3c1e-6f0e-4b5c-9c39-1d0a5b1d7c55",
                "labs": {lab: {"name": lab} for lab in LABS},
                "agencies": {agency: {"name": agency} for agency in AGENCIES},
            }
        )
    )


@dataclass(slots=True)
class Flow:
    """Labs that revise their releases again and again, and agencies that answer every alert once."""

    deployment: Deployment
    per_second: float = 20.0
    stated: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    answered: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Flows until `stop`; then the agencies answer what is still to come."""
        producer = self.deployment.connection.producer(request_timeout_ms=60_000)
        await producer.start()
        answering = asyncio.create_task(self._answer(producer))
        try:
            number = 0
            while not self._stop.is_set():
                lab = LABS[number % len(LABS)]
                await self._state(producer, lab, f"m-{number // len(LABS) % RELEASES_A_LAB}", number)
                number += 1
                await asyncio.sleep(1 / self.per_second)
            await self._all_answered(answering)
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            await producer.stop()

    def stop(self) -> None:
        """No more statements."""
        self._stop.set()

    @property
    def statements(self) -> int:
        """How many were sent."""
        return sum(map(len, self.stated.values()))

    async def _state(self, producer: Any, lab: str, reference: str, number: int) -> None:
        event_id = f"{lab}-{number}"
        data = {
            "reference": reference,
            "model": {"name": "Model"},
            "trusted_partner_release_at": "2099-01-31T00:00:00Z",
            "early_access": {"opens": "P14D"},
            "audience": {"mode": "matching"},
            "handling": event_id,
        }
        await self._send(producer, f"releases.{lab}", f"/labs/{lab}", "release.announced", event_id, data)
        self.stated[lab, reference].append(event_id)

    async def _answer(self, producer: Any) -> None:
        consumer = self.deployment.connection.consumer()
        await consumer.start()
        try:
            consumer.assign([TopicPartition(self.deployment.connection.topic(f"alerts.{a}"), 0) for a in AGENCIES])
            async for record in consumer:
                alert = json.loads(record.value)["data"]
                agency = alert["agency"]
                data = {"alert_id": alert["alert_id"], "release_id": alert["release_id"], "disposition": "received"}
                event_id = f"{agency}-{alert['alert_id']}"
                topic, source = f"acks.{agency}", f"/agencies/{agency}"
                await self._send(producer, topic, source, "acknowledgement.submitted", event_id, data)
                self.answered[agency].append(alert["alert_id"])
        finally:
            await consumer.stop()

    async def _all_answered(self, answering: asyncio.Task[None]) -> None:
        for _ in range(900):
            if answering.done():
                answering.result()
            if all(len(self.answered[agency]) >= self.statements for agency in AGENCIES):
                return
            await asyncio.sleep(0.1)

    async def _send(
        self, producer: Any, topic: str, source: str, kind: str, event_id: str, data: dict[str, Any]
    ) -> None:
        event = {"specversion": "1.0", "id": event_id, "source": source, "type": f"herald.{kind}.v1", "data": data}
        await producer.send_and_wait(self.deployment.connection.topic(topic), json.dumps(event).encode())


async def compare(deployment: Deployment, flow: Flow) -> list[str]:
    """Every difference between what went in and what came out: lost, repeated, out of order, or not in its place."""
    partitions = deployment.partitions
    total = flow.statements
    differences: list[str] = []

    def check(what: str, found: list[str], wanted: list[str]) -> None:
        if found == wanted:
            return
        lost, extra = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
        order = "" if lost or extra else ", out of order"
        differences.append(f"{what}: {lost.total()} lost, {extra.total()} too many{order}")

    await deployment.settled("acknowledgements", total * len(AGENCIES), partitions)
    for lab in LABS:
        receipts = [e for e in await deployment.events(f"receipts.{lab}") if ".receipt." in e["type"]]
        wanted = [i for (one, _), ids in flow.stated.items() if one == lab for i in ids]
        check(f"receipts of {lab}", sorted(e["data"]["event_id"] for e in receipts), sorted(wanted))
    announced = await deployment.events("announcements", partitions)
    windows = await deployment.events("windows", partitions)
    alerts = await deployment.events("alerts", partitions)
    recorded = await deployment.events("acknowledgements", partitions)
    for (lab, reference), wanted in flow.stated.items():
        key = f"{lab}/{reference}"
        mine = [e["data"]["announcement"] for e in announced]
        mine = [a for a in mine if (a["lab"], a["statement"]["reference"]) == (lab, reference)]
        check(f"announcements of {key}", [a["statement"]["handling"] for a in mine], wanted)
        check(f"revisions of {key}", [str(a["revision"]) for a in mine], [str(n + 1) for n in range(len(wanted))])
        seen = [e["data"]["window"] for e in windows]
        seen = [w for w in seen if (w["lab"], w["statement"]["reference"]) == (lab, reference)]
        check(f"windows of {key}", [w["statement"]["handling"] for w in seen], wanted)
        for agency in AGENCIES:
            told = [e["data"] for e in alerts if e["data"]["agency"] == agency]
            told = [a for a in told if (a["content"]["lab"], a["content"]["reference"]) == (lab, reference)]
            check(f"alerts of {key} to {agency}", [a["content"]["handling"] for a in told], wanted)
            check(
                f"sequences of {key} to {agency}",
                [str(a["sequence"]) for a in told],
                [str(n + 1) for n in range(len(wanted))],
            )
    for agency in AGENCIES:
        own = [e["id"] for e in await deployment.events(f"alerts.{agency}")]
        check(f"topic of {agency}", sorted(own), sorted(e["id"] for e in alerts if e["data"]["agency"] == agency))
        answers = [e["data"]["alert_id"] for e in recorded if e["data"]["agency"] == agency]
        check(f"acknowledgements of {agency}", sorted(answers), sorted(set(flow.answered[agency])))
    letters = await deployment.read("dead-letters", partitions)
    if letters:
        differences.append(f"{len(letters)} dead letters")
    return differences
