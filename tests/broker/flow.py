"""A load of statements and answers, whose output is compared with it in the end."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiokafka import TopicPartition

from schemas.registry import Registry
from services.kernel.clock import SystemClock
from tests.broker.compare import Account, compare
from tests.broker.deployment import Deployment

LABS = ("lab-a", "lab-b")
AGENCIES = ("agency-a", "agency-b", "agency-c")
CHOSEN = AGENCIES[:2]
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


def release(reference: str, **changes: Any) -> dict[str, Any]:
    """A release as a lab states it."""
    return {
        "reference": reference,
        "model": {"name": "Model"},
        "trusted_partner_release_at": "2099-01-31T00:00:00Z",
        "early_access": {"opens": "P14D"},
        "audience": {"mode": "matching"},
    } | changes


@dataclass(slots=True)
class Flow:
    """Labs that revise their releases again and again, and agencies that answer every alert once."""

    deployment: Deployment
    per_second: float = 20.0
    clock: SystemClock | None = None
    """With a clock that runs fast, every tenth statement is of a release whose window opens and closes meanwhile."""
    timed: dict[tuple[str, str], str] = field(default_factory=dict)
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
                if self.clock is not None and number % 10 == 9:
                    await self._state_timed(producer, lab, number, self.clock.now())
                else:
                    await self._state(producer, lab, f"m-{number // len(LABS) % RELEASES_A_LAB}", number)
                number += 1
                await asyncio.sleep(1 / self.per_second)
            await self._all_settled(answering)
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            await producer.stop()

    async def goes_on(self, statements: int = 10) -> None:
        """Waits for so many more statements."""
        until = self.statements + statements
        while self.statements < until:
            await asyncio.sleep(0.05)

    def account(self) -> Account:
        """What went in."""
        return Account(AGENCIES, CHOSEN, dict(self.stated), self.timed, dict(self.answered))

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

    async def _state_timed(self, producer: Any, lab: str, number: int, now: datetime) -> None:
        """Opens after 20 hours, warns after 28, closes after 100; two of the three agencies may know."""
        event_id, reference = f"{lab}-{number}", f"t-{number}"
        data = {
            "reference": reference,
            "model": {"name": "Model"},
            "trusted_partner_release_at": (now + timedelta(hours=100)).isoformat(),
            "early_access": {"opens": (now + timedelta(hours=20)).isoformat()},
            "audience": {"mode": "listed", "agencies": list(CHOSEN)},
        }
        await self._send(producer, f"releases.{lab}", f"/labs/{lab}", "release.announced", event_id, data)
        self.timed[lab, reference] = event_id

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

    async def _all_settled(self, answering: asyncio.Task[None]) -> None:
        """Waits, bounded, until all is told, answered and receipted, and every timed window has ended."""
        for _ in range(180):
            if answering.done():
                answering.result()
            told = {a: len(await self.deployment.events(f"alerts.{a}")) for a in AGENCIES}
            windows = await self.deployment.events("windows", self.deployment.partitions)
            ended = sum(event["data"]["window"]["status"] in {"closed", "withdrawn"} for event in windows)
            enough = all(told[a] >= self.statements for a in AGENCIES) and ended >= len(self.timed)
            if enough and all(len(self.answered[a]) == told[a] for a in AGENCIES):
                receipts = {a: len(await self.deployment.events(f"receipts.{a}")) for a in AGENCIES}
                if all(receipts[a] >= told[a] for a in AGENCIES):
                    return
            await asyncio.sleep(0.5)

    async def _send(
        self, producer: Any, topic: str, source: str, kind: str, event_id: str, data: dict[str, Any]
    ) -> None:
        event = {"specversion": "1.0", "id": event_id, "source": source, "type": f"herald.{kind}.v1", "data": data}
        await producer.send_and_wait(self.deployment.connection.topic(topic), json.dumps(event).encode())


@asynccontextmanager
async def flowing(deployment: Deployment, per_second: float = 10) -> AsyncIterator[Flow]:
    """A deployment under load, whose output is compared with its input in the end."""
    flow = Flow(deployment, per_second)
    try:
        await deployment.prepare(registry())
        running = asyncio.create_task(flow.run())
        yield flow
        flow.stop()
        await running
        differences = await compare(deployment, flow.account())
        assert not differences, "\n".join(differences)
    finally:
        flow.stop()
        deployment.stop()
