"""`herald demo`, as its user runs it; then a third party's consumer, and every dashboard, on what it left."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.topics import SERVICES
from services.cli.demo.scenario import FILES
from services.embedded.broker import Broker
from tests.broker.watching import Watch, needs_prometheus, watching
from tests.repo.grafana import filled, targets

KCAT = shutil.which("kcat") or shutil.which("kafkacat")
PUSHED = {
    "webhook caisi": "2 of 2, each once",
    "webhook cisa": "8 of 8, each once",
    "e-mail caisi": "7 of 7, each once",
    "e-mail dod": "17 of 17, each once",
}
"""What `expected.yaml` has for the tiers of those endpoints: of caisi's alerts, its lead's tickets take escalations."""


FACTOR = 12
"""So many times as fast does Prometheus scrape and evaluate: the demo is over in a minute."""


@dataclass(slots=True)
class Played:
    """A demo that is over, what it printed, and a Prometheus that has watched it."""

    data: Path
    done: subprocess.CompletedProcess[str]
    watch: Watch | None


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The demo, beside a Prometheus where one is installed."""
    folder = tmp_path_factory.mktemp("demo")
    data = folder / ".herald"
    command = [sys.executable, "-m", "services.cli.main", "demo", "--json", "--data", str(data)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
    with ExitStack() as stack:
        there = shutil.which("prometheus") is not None
        watch = stack.enter_context(watching(folder, factor=FACTOR)) if there else None
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=clean, cwd=folder, check=False)
        yield Played(data, done, watch)


@pytest.mark.timeout(200)
def test_the_demo_finds_what_was_expected_and_a_plain_consumer_sees_the_alerts_once_in_order(
    played: Played,
) -> None:
    done = played.done
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert summary["alerts_seen"] == summary["alerts_expected"] == 43
    assert (summary["lost"], summary["repeated"], summary["out_of_order"]) == (0, 0, 0)
    assert (summary["refused"], summary["dead_letters"]) == (3, 1)
    assert (summary["reminders"], summary["escalations"]) == (4, 2)
    assert set(summary["announce_to_alert_ms"]) == {"p50", "p99"}
    assert {name: said for name, said in summary.items() if " " in name} == PUSHED
    if KCAT is None:
        assert not os.environ.get("CI"), "kcat is missing: apt-get install kcat"
        pytest.skip("kcat is missing: install it (Debian: apt-get install kcat) to have a third party's consumer look")
    broker = Broker(played.data)
    running = broker.start(print, owned=True)
    try:
        consume = [KCAT, "-C", "-b", running.bootstrap_servers, "-t", "herald.alerts.cisa", "-e", "-q"]
        consume += ["-X", "isolation.level=read_committed"]
        seen = subprocess.run(consume, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    finally:
        broker.stop()
    alerts = [json.loads(line)["data"] for line in seen]
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts)
    expected = yaml.safe_load((FILES / "expected.yaml").read_text())["agencies"]["cisa"]
    for key, entries in expected.items():
        mine = [a for a in alerts if f"{a['content']['lab']}/{a['content']['reference']}" == key]
        assert [alert["kind"] for alert in mine] == [entry["kind"] for entry in entries]
        assert [alert["sequence"] for alert in mine] == list(range(1, len(entries) + 1))


@needs_prometheus
@pytest.mark.timeout(200)
async def test_every_panel_of_every_dashboard_shows_what_happened_in_the_demo(played: Played) -> None:
    assert played.watch is not None
    found = await played.watch.ask("query", query=f'(sum(up{{job="herald"}}) == {len(SERVICES)})[10m:1s]')
    (series,) = found["result"]
    begin, end = (float(series["values"][place][0]) for place in (0, -1))
    empty, numbers = [], {}
    for exercise in ("false", "true"):
        values = {"exercise": exercise, "service": ".*", "__rate_interval": "10s", "__range": f"{end - begin:.0f}s"}
        for where, target in targets():
            expr = filled(target["expr"], values)
            if exercise == "true" and expr == filled(target["expr"], values | {"exercise": "false"}):
                continue
            at = {"time": str(end)} if target["instant"] else {"start": str(begin), "end": str(end), "step": "1s"}
            answer = await played.watch.ask("query" if target["instant"] else "query_range", query=expr, **at)
            if target["instant"] and answer["result"]:
                numbers[where] = float(answer["result"][0]["value"][1])
            if not any(_is_shown(one) for one in answer["result"]):
                empty.append(f"{where} {exercise} {len(answer['result'])}")
    assert not empty
    told = json.loads(played.done.stdout.splitlines()[-1])["summary"]["alerts_seen"]
    assert numbers["releases: 4 Alerted A"] == pytest.approx(told, rel=0.5), "an increase is an estimate, but no other"


def _is_shown(series: dict[str, Any]) -> bool:
    """Whether it has a value that is a number."""
    pairs: Iterable[Any] = series.get("values") or [series["value"]]
    return any(not math.isnan(float(value)) for _, value in pairs)
