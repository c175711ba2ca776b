"""What the doors have answered, and what they answer in the end, held against the topics.

Shares nothing with Herald but the contract: whatever a door took stands in the topics with what followed, and what it
shows is what they hold, each thing once and in order.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from typing import Any

from tests.broker.compare import different
from tests.broker.deployment import Deployment
from tests.broker.flow import AGENCIES, LABS
from tests.chaos.load import ANSWERS, HOOKED, MAILED, POLLS, Load

Json = dict[str, Any]
READ_SECONDS = 20.0
"""So long a door may take, once nothing comes any more, until it has read what there is."""

PAGE = 500


class DoorChecker:
    """One check of all doors."""

    def __init__(self, deployment: Deployment, load: Load) -> None:
        self._deployment, self._doors = deployment, load.doors
        self.differences: list[str] = []

    async def run(self) -> None:
        """Everything that may not differ."""
        self.differences += self._doors.wrong
        edges = {name: await self._deployment.events(name) for name in self._edges()}
        internal = {name: await self._deployment.events(name, self._deployment.partitions) for name in _INTERNAL}
        for who, receipts in self._doors.receipts.items():
            there = [event["id"] for event in edges[f"receipts.{who}"]]
            given = _ids(receipts)
            self._same(f"receipts that a door gave {who}", given, [one for one in given if one in there])
        told, polled = _ids(edges[f"alerts.{POLLS}"]), _ids(self._doors.polled[POLLS])
        self._same(f"alerts that {POLLS} read page by page", polled, told)
        for number, address in enumerate(self._doors.addresses, 1):
            until = time.monotonic() + READ_SECONDS
            while (found := await self._at(address, edges, internal)) and time.monotonic() < until:
                await asyncio.sleep(1)
            self.differences += [f"door {number}: {one}" for one in found]

    def _edges(self) -> list[str]:
        return [f"alerts.{one}" for one in AGENCIES] + [f"receipts.{one}" for one in (*LABS, *AGENCIES)]

    def _same(self, what: str, found: list[str], wanted: list[str]) -> None:
        if said := different(what, found, wanted):
            self.differences.append(said)

    async def _at(self, address: str, edges: dict[str, list[Json]], internal: dict[str, list[Json]]) -> list[str]:
        """What one door shows otherwise than the topics say."""
        found = [await self._promised(address)]
        for agency in AGENCIES:
            told = edges[f"alerts.{agency}"]
            pages = await self._pages(address, agency, "/v1/alerts", "alerts")
            found.append(different(f"alerts of {agency}", _bodies(pages), _bodies(told)))
            latest = {event["data"]["release_id"]: event for event in told}
            windows = (await self._doors.get(address, agency, "/v1/windows")).json().get("windows", [])
            wanted = sorted(_bodies(latest.values()))
            found.append(different(f"windows of {agency}", sorted(_bodies(windows)), wanted))
        for agency in (HOOKED, MAILED):
            pages = await self._pages(address, agency, "/v1/deliveries", "deliveries")
            shown = [f"{one['delivery_id']} {one['status']} {one['attempts']}" for one in pages]
            found.append(different(f"deliveries of {agency}", sorted(shown), _deliveries(agency, internal)))
        for lab in LABS:
            found += await self._releases(address, lab, edges[f"receipts.{lab}"], internal)
        return [one for one in found if one]

    async def _promised(self, address: str) -> str:
        """Where a receipt was promised, there is one in the end."""
        kept, asked = [], []
        for who, urls in self._doors.promised.items():
            for url in urls:
                asked.append(url)
                kept += [url] if (await self._doors.get(address, who, url)).is_success else []
        return different("receipts that a door promised", kept, asked)

    async def _releases(
        self, address: str, lab: str, receipts: list[Json], internal: dict[str, list[Json]]
    ) -> list[str]:
        """Of each release of a lab: statement, window, receipts, disclosures, and the answers that are shared."""
        last, windows = {}, {}
        for event in internal["announcements"]:
            if (said := event["data"]["announcement"])["lab"] == lab:
                last[said["release_id"]] = said
        for event in internal["windows"]:
            windows[event["subject"]] = event["data"]["window"]
        own: dict[str, list[Json]] = defaultdict(list)
        for event in receipts:
            own[event["data"].get("release_id", "")].append(event)
        answers: dict[str, dict[tuple[int, str], str]] = defaultdict(dict)
        for event in internal["acknowledgements"]:
            data = event["data"]
            if ".recorded." in event["type"] and data["agency"] == ANSWERS:
                answers[data["release_id"]][data["life"], data["disposition"]] = data["recorded_at"]
        found = []
        for release_id, said in last.items():
            shown = (await self._doors.get(address, lab, f"/v1/releases/{release_id}")).json()
            mine = own[release_id]
            parts = {
                "announcement": ([shown.get("announcement")], [said]),
                "window": ([shown.get("window")], [windows.get(release_id)]),
                "receipts": (shown.get("receipts", []), [e for e in mine if ".receipt." in e["type"]]),
                "disclosures": (shown.get("disclosures", []), [e for e in mine if ".disclosure." in e["type"]]),
                "answers": (
                    sorted([one["life"], one["disposition"], one["recorded_at"]] for one in shown.get("answers", [])),
                    sorted([*key, at] for key, at in answers[release_id].items()),
                ),
            }
            key = f"{lab}/{said['statement']['reference']}"
            found += [different(f"{what} of {key}", _bodies(a), _bodies(b)) for what, (a, b) in parts.items()]
        return found

    async def _pages(self, address: str, who: str, path: str, what: str) -> list[Json]:
        found: list[Json] = []
        named: dict[str, Any] = {"limit": PAGE}
        while True:
            page = (await self._doors.get(address, who, path, **named)).json()
            found += page.get(what, [])
            if not page.get("more"):
                return found
            named["after"] = page["cursor"]


_INTERNAL = ("announcements", "windows", "acknowledgements", "deliveries", "delivery-outcomes")
_ENDS = {"succeeded": "taken", "failed": "failing", "abandoned": "abandoned"}


def _deliveries(agency: str, internal: dict[str, list[Json]]) -> list[str]:
    """Each that was asked for, how it stands, and after how many attempts."""
    asked = {
        event["data"]["delivery_id"]
        for event in internal["deliveries"]
        if event["type"] == "herald.delivery.requested.v1" and event["data"]["agency"] == agency
    }
    attempts, standing = Counter[str](), dict.fromkeys(asked, "pending")
    for event in internal["delivery-outcomes"]:
        if (one := event["data"].get("delivery_id")) in asked:
            standing[one] = _ENDS[event["type"].split(".")[2]]
            attempts[one] += standing[one] != "abandoned" or "failure" in event["data"]
    return sorted(f"{one} {standing[one]} {attempts[one]}" for one in asked)


def _ids(events: list[Json]) -> list[str]:
    return [event["id"] for event in events]


def _bodies(events: Any) -> list[str]:
    return [json.dumps(event, sort_keys=True) for event in events]
