"""Plays the scenario: labs speak, agencies answer what they hear, each over a line of its own."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from services.cli.demo.channels import Channels
from services.cli.demo.lines import Lines
from services.cli.demo.moment import Moment
from services.cli.demo.pushed import Pushed
from services.cli.demo.scenario import Scenario, Step
from services.kernel.clock import SystemClock
from services.kernel.ending import ended


class Player:
    """The demo's labs and agencies. As a context, they listen. Who is told by push too, answers when that has come."""

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        lines: Lines,
        channels: Channels,
        clock: SystemClock,
        show: Callable[[Moment], None],
    ) -> None:
        self._scenario = scenario
        self._folder = folder
        self._lines = lines
        self._channels = channels
        self._clock = clock
        self._show = show
        self._news = asyncio.Condition()
        self._alerts: dict[tuple[str, str], dict[str, Any]] = {}
        self._references: dict[str, str] = {}
        self.heard: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """Every alert that an agency heard of, in order."""
        self.refused: list[str] = []
        """Every reason that anybody was given for a refusal."""
        self.pushed: list[Pushed] = []
        """Every webhook and mail, in order."""
        self._unanswered: dict[tuple[str, str], dict[str, Any]] = {}

    async def __aenter__(self) -> "Player":
        await self._lines.start()
        self._listening = [asyncio.create_task(self._listen()), asyncio.create_task(self._listen_for_pushes())]
        return self

    async def __aexit__(self, *_: object) -> None:
        await ended(*self._listening)
        await self._lines.stop()
        for task in self._listening:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def run(self) -> None:
        """Plays to the scenario's last day."""
        for step in self._scenario.steps:
            await self._until(step.day)
            await self._do(step)
        await self._until(self._scenario.days)

    async def hears(self, counts: Mapping[str, int], seconds: float) -> None:
        """Waits until each agency has heard so many alerts, at most so long."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: all(len(self.heard[one]) >= count for one, count in counts.items()))

    async def is_pushed(self, wanted: Collection[tuple[str, str, str]], seconds: float) -> None:
        """Waits until each endpoint (agency, endpoint) has each alert that it is to have, at most so long."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: set(wanted) <= self._pushed_where())

    def _pushed_where(self) -> set[tuple[str, str, str]]:
        return {(push.agency, push.endpoint, alert) for push in self.pushed for alert in push.alerts}

    async def _until(self, day: float) -> None:
        instant = self._scenario.starts_from + timedelta(days=day)
        await asyncio.sleep(max(0.0, self._clock.seconds_until(instant)))

    # ---- labs

    async def _do(self, step: Step) -> None:
        match step.action:
            case "announce":
                release = self._release(step.what)
                self._tell(step.lab, "announces", f"{step.lab}/{release['reference']}")
                await self._say(step.lab, f"/labs/{step.lab}", "release.announced", release)
            case "withdraw":
                self._tell(step.lab, "withdraws", f"{step.lab}/{step.what}")
                await self._say(step.lab, f"/labs/{step.lab}", "release.withdrawn", {"reference": step.what})
            case "impersonate":
                release = self._release(step.what)
                self._tell(step.through, "speaks for", f"{step.lab}/{release['reference']}")
                await self._say(step.through, f"/labs/{step.lab}", "release.announced", release)
            case "garbage":
                self._tell(step.through, "sends", "an event that is not JSON")
                await self._lines.garble(step.through, step.what.encode())
            case "answer_unknown":
                alert = next(
                    alert
                    for (agency, _), alert in self._alerts.items()
                    if agency != step.agency and alert["content"]["reference"] == step.what
                )
                self._tell(step.agency, "answers", f"an alert on {step.lab}/{step.what} that it was never sent")
                await self._answer(step.agency, alert, "received")
            case unknown:
                raise ValueError(f"scenario.yaml: no such step: {unknown}")

    def _release(self, name: str) -> dict[str, Any]:
        text = (self._folder / name).read_text()
        release: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - strings only: times stay text
        if "exercise" in release:
            release["exercise"] = release["exercise"] == "true"
        return release

    async def _say(self, participant: str, source: str, kind: str, data: dict[str, Any]) -> None:
        event = {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": source,
            "type": f"herald.{kind}.v1",
            "datacontenttype": "application/json",
            "data": data,
        }
        await self._lines.say(participant, event)

    # ---- agencies

    async def _listen(self) -> None:
        async for participant, event in self._lines.heard():
            if event["type"].startswith("herald.alert."):
                self.heard[participant].append(event)
                async with self._news:
                    self._news.notify_all()
                await self._hear(participant, event["data"])
            else:
                self._show_receipt(participant, event)

    async def _hear(self, agency: str, alert: dict[str, Any]) -> None:
        content = alert.get("content") or {}
        reference = content.get("reference", self._references.get(alert["release_id"], ""))
        self._references[alert["release_id"]] = reference
        if content:
            self._alerts.setdefault((agency, alert["release_id"]), alert)
        chase = alert.get("chase", "")
        mark = "EXERCISE " if alert["exercise"] else ""
        detail = " ".join(filter(None, [mark + alert["tlp"], chase and f"{chase} to {alert['tier']}"]))
        self._tell(agency, alert["kind"], f"{content.get('lab', '')}/{reference}", detail)
        wanted = self._scenario.behaviour(agency, reference)
        if alert.get("asks") and wanted in {"at-once", chase}:
            self._unanswered[agency, alert["alert_id"]] = alert
            if not self._channels.serve(agency) or any(alert["alert_id"] in push.alerts for push in self.pushed):
                await self._answer_now(agency, alert["alert_id"])

    async def _listen_for_pushes(self) -> None:
        async for push in self._channels.heard():
            self.pushed.append(push)
            async with self._news:
                self._news.notify_all()
            self._tell(push.agency, f"by {push.way}", push.about, push.fault)
            for alert in push.alerts:
                await self._answer_now(push.agency, alert)

    async def _answer_now(self, agency: str, alert_id: str) -> None:
        alert = self._unanswered.pop((agency, alert_id), None)
        if alert is None:
            return
        await self._answer(agency, alert, "received")
        if self._scenario.participating.get(agency) == self._references[alert["release_id"]]:
            await self._answer(agency, alert, "participating")

    async def _answer(self, agency: str, alert: dict[str, Any], disposition: str) -> None:
        data = {"alert_id": alert["alert_id"], "release_id": alert["release_id"], "disposition": disposition}
        await self._say(agency, f"/agencies/{agency}", "acknowledgement.submitted", data)

    # ---- the time line

    def _show_receipt(self, participant: str, event: dict[str, Any]) -> None:
        data = event["data"]
        if event["type"] == "herald.disclosure.made.v1":
            return
        outcome = event["type"].split(".")[2]
        said = [*data.get("reasons", ()), *data.get("warnings", ())]
        self.refused += [reason["code"] for reason in data.get("reasons", ())]
        if outcome == "accepted" and data.get("disposition"):
            self._tell(participant, f"answered {data['disposition']}", self._references.get(data["release_id"], ""))
        else:
            about = data.get("reference") or self._references.get(data.get("release_id", ""), "its event")
            self._tell(
                participant, f"receipt: {outcome}", about, "; ".join(f"{n['code']}: {n['message']}" for n in said)
            )

    def _tell(self, who: str, what: str, about: str, detail: str = "") -> None:
        self._show(Moment(self._clock.now(), who, what, about, detail))
