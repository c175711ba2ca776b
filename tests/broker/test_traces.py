"""With a collector, a release is one connected trace through all services; its spans are the events themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.broker.doorway import opened
from tests.broker.flow import release
from tests.broker.otlp import Taken, collector
from tests.broker.receivers import SECRET, Hooks
from tests.contract.channels import differences
from tests.simulation.world import registry

CI = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DESK = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PATH = [
    ("herald-door", "POST /v1/releases"),
    ("herald-gateway", "herald.release.announced.v1"),
    ("herald-announcements", "herald.announcement.recorded.v1"),
    ("herald-windows", "herald.window.scheduled.v1"),
    ("herald-notifier", "herald.delivery.requested.v1"),
    ("herald-deliveries", "attempt"),
    ("herald-deliveries", "herald.delivery.succeeded.v1"),
]
"""Each caused the next."""

ANSWER = [
    ("herald-door", "POST /v1/alerts/{alert_id}/acknowledgement"),
    ("herald-gateway", "herald.acknowledgement.submitted.v1"),
    ("herald-acknowledgements", "herald.acknowledgement.recorded.v1"),
]


def chain(spans: list[Taken], last: tuple[str, str]) -> list[tuple[str, str]]:
    """The spans that lead to this one, the first one first; none, where this one has not come."""
    by_id = {span.id: span for span in spans}
    span = next((span for span in spans if (span.service, span.name) == last), None)
    if span is None:
        return []
    found = [last]
    while span.parent in by_id:
        span = by_id[span.parent]
        found.insert(0, (span.service, span.name))
    return found


def loose(spans: list[Taken]) -> set[str]:
    """The ids of parents that are not there: services export each at its own pace."""
    return {span.parent for span in spans} - {span.id for span in spans}


def lines(log: Path) -> list[dict[str, Any]]:
    """What a process has logged."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


@pytest.mark.timeout(300)
async def test_a_release_is_one_trace_from_the_request_of_a_lab_to_the_webhook(
    kafka: str, tmp_path: Path, hooked: Hooks
) -> None:
    hook = {"channel": "webhook", "tier": "watch", "url": f"{hooked.address}/desk", "secrets": ["env:HOOK"]}
    agency = {"name": "All", "tiers": ["watch"], "endpoints": {"desk": hook}}
    known = registry(agencies={"all": agency}, allow_networks=["127.0.0.0/8"])
    with collector() as found:
        env = found.env | {"HOOK": SECRET}
        async with opened(kafka, "traces.", tmp_path, known, ("lab", "all"), ("deliveries",), **env) as door:
            said = await door.post("lab", "/v1/releases?wait=30", json=release("m-1"), headers={"traceparent": CI})
            assert said.status_code == 200, said.text
            trace, outside = CI.split("-")[1:3]
            await found.until(lambda: chain(found.of(trace), PATH[-1]) == PATH and loose(found.of(trace)) == {outside})
            spans = found.of(trace)
            ((_, _, body),) = hooked.taken
            told = body["data"]
            assert [header.split("-")[1:3] for header in hooked.traces] == [
                [trace, span.id] for span in spans if span.name == "attempt"
            ]
            for topic in ("alerts.all", "receipts.lab", "alerts"):
                for event in await door.deployment.events(topic, 2 if topic == "alerts" else 1):
                    assert differences(topic, event) == []
                    assert event["traceparent"].split("-")[1] == trace
                    assert event["traceparent"].split("-")[2] in {span.id for span in spans}

            (line,) = [line for line in lines(door.process.log) if line.get("route") == "/v1/releases"]
            assert (line["trace_id"], line["release_id"]) == (trace, told["release_id"])

            url = f"/v1/alerts/{told['alert_id']}/acknowledgement?wait=30"
            done = await door.post("all", url, json={"disposition": "received"}, headers={"traceparent": DESK})
            assert done.status_code == 200, done.text
            await found.until(lambda: chain(found.of(DESK.split("-")[1]), ANSWER[-1]) == ANSWER)
        shown = json.dumps([[span.name, span.attributes] for span in found.spans])
        assert told["release_id"] in shown
        for private in ("m-1", "Model", str(door.tokens["lab"]), told["alert_id"] + "/ack", "wait=30"):
            assert private not in shown
