"""A participant of the secured demo at the HTTP door: a lab, or an agency that reads by pages or as a stream."""

import json
import ssl
from typing import Any

import httpx

from schemas.receipt import ReceiptAccepted, ReceiptRefused
from services.cli.demo.access import Access, Hears, Meanwhile

WAIT_SECONDS = 20
CLOUD_EVENT = "application/cloudevents+json"


class Door:
    """A participant at the HTTP door, with a token. It trusts one authority, and no other."""

    def __init__(self, name: str, access: Access, hears: Hears, meanwhile: Meanwhile) -> None:
        self._name, self._way, self._hears, self._meanwhile = name, access.way, hears, meanwhile
        self._trust = ssl.create_default_context(cafile=str(access.cafile))
        self._client = httpx.AsyncClient(
            base_url=access.address,
            verify=self._trust,
            headers={"Authorization": f"Bearer {access.secret}"},
            timeout=2 * WAIT_SECONDS,
        )
        self._release_ids: dict[str, str] = {}

    async def start(self) -> None:
        """Begins to read, where it is an agency."""
        reading = {"polling": self._pages, "stream": self._stream}.get(self._way)
        if reading is not None:
            self._meanwhile(reading())

    async def stop(self) -> None:
        """Hangs up."""
        await self._client.aclose()

    async def say(self, event: dict[str, Any]) -> None:
        """Takes the route that is made for it; for an event in another's name there is none but that for events."""
        data, mine = event["data"], event["source"].endswith(f"/{self._name}")
        match event["type"].split(".")[1:3]:
            case ["acknowledgement", _] if self._way == "polling":
                await self._press_the_button(data)
                return
            case ["acknowledgement", _]:
                said = {"disposition": data["disposition"]}
                answer = await self._client.post(f"/v1/alerts/{data['alert_id']}/acknowledgement", json=said)
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

    async def _press_the_button(self, data: dict[str, Any]) -> None:
        """Answers as somebody who has nothing but the acknowledgement link, and a browser."""
        made = await self._client.post(f"/v1/alerts/{data['alert_id']}/link")
        link = made.raise_for_status().json()["url"]
        async with httpx.AsyncClient(verify=self._trust, timeout=2 * WAIT_SECONDS) as browser:
            page = (await browser.get(link)).raise_for_status().text
            asked = page.partition('name="alert_id" value="')[2].partition('"')[0]
            form = {"alert_id": asked, "disposition": data["disposition"]}
            answer = (await browser.post(link, data=form)).raise_for_status()
        if answer.status_code == httpx.codes.OK:  # its page says that the answer is recorded
            self._hears({"type": ReceiptAccepted.type, "data": data})

    def _answered(self, answer: httpx.Response) -> None:
        if answer.is_success:
            self._meanwhile(self._receipt(answer.json()["receipt_url"]))
            return
        reasons = answer.json().get("reasons") or [{"code": str(answer.status_code), "message": answer.text}]
        self._hears({"type": ReceiptRefused.type, "data": {"reasons": reasons}})

    async def _receipt(self, url: str) -> None:
        answer = await self._client.get(url, params={"wait": WAIT_SECONDS})
        receipt = answer.raise_for_status().json()
        data = receipt["data"]
        if data.get("release_id") and data.get("reference"):
            self._release_ids[data["reference"]] = data["release_id"]
        self._hears(receipt)

    async def _pages(self) -> None:
        after: dict[str, str] = {}
        while True:
            answer = await self._client.get("/v1/alerts", params={"wait": str(WAIT_SECONDS), **after})
            page = answer.raise_for_status().json()
            if page["cursor"] is not None:
                after = {"after": page["cursor"]}
            for alert in page["alerts"]:
                self._hears(alert)

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
                        self._hears(json.loads(value))
