"""`herald demo`, as its user runs it; then a third party's consumer on what it left."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from services.cli.demo.scenario import FILES
from services.embedded.broker import Broker

KCAT = shutil.which("kcat") or shutil.which("kafkacat")
PUSHED = {
    "webhook caisi": "2 of 2, each once",
    "webhook cisa": "8 of 8, each once",
    "e-mail caisi": "7 of 7, each once",
    "e-mail dod": "17 of 17, each once",
}
"""What `expected.yaml` has for the tiers of those endpoints: of caisi's alerts, its lead's tickets take escalations."""


@pytest.mark.timeout(200)
def test_the_demo_finds_what_was_expected_and_a_plain_consumer_sees_the_alerts_once_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.cli.main", "demo", "--json", "--data", str(tmp_path)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=clean, cwd=tmp_path, check=False)
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
    broker = Broker(tmp_path)
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
