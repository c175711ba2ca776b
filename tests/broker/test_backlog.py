"""A dead endpoint that is given far more than can wait there, on a real Kafka: its shard works on."""

import re
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from schemas.delivery import EndpointResumed
from schemas.topics import STATE_BYTES
from tests.broker.delivered import say
from tests.broker.receivers import Hooks
from tests.broker.test_deliveries_command import Operator
from tests.chaos.asking import AGENCY, ask, deployment, hook, outcomes, registry
from tests.unit.test_endpoint_backlog import asked

GIVEN = 120
"""Of the largest alerts: more than the record takes in which they wait."""


@pytest.mark.timeout(120)
async def test_a_dead_endpoint_given_far_more_than_fits_keeps_nobody_waiting_and_each_alert_has_an_outcome(
    kafka: str, tmp_path: Path, hooked: Hooks
) -> None:
    letters = [asked(release, 1, endpoint="dead") for release in range(GIVEN)]
    assert sum(len(one.alert.model_dump_json().encode()) for one in letters) > STATE_BYTES
    hooked.answer = lambda path: 500 if path == "/dead" else 204
    one = deployment(kafka, "backlog.", tmp_path)
    await one.prepare(registry(None, {"dead": hook(hooked, "dead"), "live": hook(hooked, "live")}))
    try:
        (process,) = one.start("deliveries")
        await ask(one, ["live"], range(20))
        await say(one, letters)
        await ask(one, ["live"], range(20, 40))
        live = [each for each in await outcomes(one, 40, "succeeded") if each["endpoint"] == "live"]
        assert len(live) == len(set(hooked.ids("/live"))) == 40
        refused = await outcomes(one, 1, "abandoned")
        assert {(each["endpoint"], each["reason"]) for each in refused} == {("dead", "backlog-full")}
        url = f"http://127.0.0.1:{process.port}/metrics"
        counted = urllib.request.urlopen(url, timeout=5).read().decode()
        (number,) = re.findall(
            r'^herald_deliveries_total\{channel="webhook",exercise="false",outcome="backlog-full"\} ([0-9.]+)$',
            counted,
            re.M,
        )
        assert float(number) == len(refused)
        operator = Operator(one)
        assert (await operator.run("list", "--status", "abandoned")).count("(backlog-full)\n") == len(refused)

        hooked.answer = lambda path: 204
        await say(one, [EndpointResumed(agency=AGENCY, endpoint="dead")])
        ended = [
            each for each in await outcomes(one, GIVEN + 40, "succeeded", "abandoned") if each["endpoint"] == "dead"
        ]
        assert Counter(each["delivery_id"] for each in ended) == Counter(each.delivery_id for each in letters)
        lost = refused[0]
        await operator.run("retry", lost["delivery_id"])
        await outcomes(one, GIVEN + 41, "succeeded", "abandoned")
        assert hooked.ids("/dead").count(lost["alert_id"]) == 1
        assert "shard_reopens" not in process.log.read_text()
    finally:
        one.stop()
