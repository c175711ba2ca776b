"""The secured demo's lines: labs over HTTPS; agencies by pages, as a stream, or over Kafka. Each proves who it is."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.receipt import ReceiptRefused
from services.cli.demo.lines import Heard
from services.cli.demo.scenario import Way

WAIT_SECONDS = 20
JSON, CLOUD_EVENT = "application/json", "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Access:
    """Where a participant finds Herald, and how it proves who it is: by a token at the door, or by a Kafka user."""

    way: Way
    address: str
    cafile: Path
    user: str = ""
    secret: str = field(default="", repr=False)


class SecuredLines:
    """Everybody through a door of their own, with nobody else's secret."""

    def __init__(self, access: dict[str, Access]) -> None:
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self.failures: list[str] = []
        self._lines = {
            name: KafkaDesk(self, name, one) if one.way == "kafka" else Door(self, name, one)
            for name, one in access.items()
        }

    async def start(self) -> None:
        """Connects everybody."""
        for line in self._lines.values():
            await line.start()

    async def stop(self) -> None:
        """Disconnects everybody."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self._lines.values():
            await line.stop()

    async def say(self, participant: str, event: dict[str, Any]) -> None:
        """Says an event as this participant."""
        await self._lines[participant].say(event)

    async def garble(self, participant: str, raw: bytes) -> None:
        """Says what is no event."""
        await self._lines[participant].garble(raw)

    async def heard(self) -> AsyncIterator[Heard]:
        """What anybody hears."""
        while True:
            yield await self._heard.get()

    def hears(self, participant: str, event: dict[str, Any]) -> None:
        """Takes what came over a line."""
        self._heard.put_nowait((participant, event))

    def meanwhile(self, participant: str, work: Coroutine[Any, Any, None]) -> None:
        """Runs beside everything else; what it raises is kept."""

        async def watched() -> None:
            try:
                await work
            except Exception as error:
                self.failures.append(f"{participant}: its line broke: {error!r}")

        self._tasks.append(asyncio.create_task(watched()))


class Door:
    """A participant at the HTTP door, with a token. It trusts one authority, and no other."""

    def __init__(self, lines: SecuredLines, name: str, access: Access) -> None:
        self._lines, self._name, self._way = lines, name, access.way
        self._client = httpx.AsyncClient(
            base_url=access.address,
            verify=ssl.create_default_context(cafile=str(access.cafile)),
            headers={"Authorization": f"Bearer {access.secret}"},
            timeout=2 * WAIT_SECONDS,
        )
        self._release_ids: dict[str, str] = {}

    async def start(self) -> None:
        """Begins to read, where it is an agency."""
        reading = {"polling": self._pages, "stream": self._stream}.get(self._way)
        if reading is not None:
            self._lines.meanwhile(self._name, reading())

    async def stop(self) -> None:
        """Hangs up."""
        await self._client.aclose()

    async def say(self, event: dict[str, Any]) -> None:
        """Takes the route that is made for it; for an event in another's name there is none but that for events."""
        data, mine = event["data"], event["source"].endswith(f"/{self._name}")
        match event["type"].split(".")[1:3]:
            case ["acknowledgement", _]:
                answer = await acknowledge(self._client, data["alert_id"], data["disposition"])
            case ["release", "announced"] if mine:
                answer = await self._client.post("/v1/releases", json=data)
            case ["release", "withdrawn"] if mine:
                answer = await self._client.post(f"/v1/releases/{self._release_ids[data['reference']]}/withdrawal")
            case _:
                content = json.dumps(event)
                answer = await self._client.post("/v1/events", content=content, headers={"Content-Type": CLOUD_EVENT})
        self._answered(answer)

    async def garble(self, raw: bytes) -> None:
        """Posts bytes as an event."""
        self._answered(await self._client.post("/v1/events", content=raw, headers={"Content-Type": CLOUD_EVENT}))

    def _answered(self, answer: httpx.Response) -> None:
        if answer.is_success:
            self._lines.meanwhile(self._name, self._receipt(answer.json()["receipt_url"]))
            return
        reasons = answer.json().get("reasons") or [{"code": str(answer.status_code), "message": answer.text}]
        self._lines.hears(self._name, {"type": ReceiptRefused.type, "data": {"reasons": reasons}})

    async def _receipt(self, url: str) -> None:
        answer = await self._client.get(url, params={"wait": WAIT_SECONDS})
        receipt = answer.raise_for_status().json()
        data = receipt["data"]
        if data.get("release_id") and data.get("reference"):
            self._release_ids[data["reference"]] = data["release_id"]
        self._lines.hears(self._name, receipt)

    async def _pages(self) -> None:
        after: dict[str, str] = {}
        while True:
            answer = await self._client.get("/v1/alerts", params={"wait": str(WAIT_SECONDS), **after})
            page = answer.raise_for_status().json()
            if page["cursor"] is not None:
                after = {"after": page["cursor"]}
            for alert in page["alerts"]:
                self._lines.hears(self._name, alert)

    async def _stream(self) -> None:
        resume: dict[str, str] = {}
        while True:
            async with self._client.stream("GET", "/v1/alerts/stream", headers=resume) as answer:
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    what, _, value = line.partition(": ")
                    if what == "id":
                        resume = {"Last-Event-ID": value}
                    elif what == "data":
                        self._lines.hears(self._name, json.loads(value))


async def acknowledge(client: httpx.AsyncClient, alert_id: str, disposition: str) -> httpx.Response:
    """An agency's answer at the door."""
    return await client.post(f"/v1/alerts/{alert_id}/acknowledgement", json={"disposition": disposition})


class KafkaDesk:
    """An agency on its own topics, with its own user: a plain Kafka client, in a group under the agency's prefix."""

    def __init__(self, lines: SecuredLines, name: str, access: Access) -> None:
        self._lines, self._name, self._access = lines, name, access

    async def start(self) -> None:
        """Connects, and begins to read."""
        login = {
            "bootstrap_servers": self._access.address,
            "security_protocol": "SASL_SSL",
            "ssl_context": ssl.create_default_context(cafile=str(self._access.cafile)),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self._access.user,
            "sasl_plain_password": self._access.secret,
        }
        self._producer = AIOKafkaProducer(**login, acks="all", enable_idempotence=True)
        self._consumer = AIOKafkaConsumer(
            f"herald.alerts.{self._name}",
            f"herald.receipts.{self._name}",
            **login,
            group_id=f"herald.{self._name}.desk",
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await self._producer.start()
        await self._consumer.start()
        self._lines.meanwhile(self._name, self._read())

    async def stop(self) -> None:
        """Disconnects."""
        await self._consumer.stop()
        await self._producer.stop()

    async def say(self, event: dict[str, Any]) -> None:
        """Writes the event to its acknowledgements."""
        await self.garble(json.dumps(event).encode())

    async def garble(self, raw: bytes) -> None:
        """Writes bytes there."""
        await self._producer.send_and_wait(f"herald.acks.{self._name}", raw)

    async def _read(self) -> None:
        async for record in self._consumer:
            self._lines.hears(self._name, json.loads(record.value))
