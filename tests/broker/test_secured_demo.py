"""`herald demo --secure`, as its user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.broker.test_demo import PUSHED
from tests.scale import long_run


@long_run
@pytest.mark.timeout(280)
def test_with_everybody_authenticated_each_agency_gets_what_it_should_over_its_own_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.cli.main", "demo", "--secure", "--json"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
    env = clean | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=270, env=env, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    *moments, last = map(json.loads, done.stdout.splitlines())
    summary = last["summary"]
    assert summary["alerts_seen"] == summary["alerts_expected"] == 43
    assert (summary["lost"], summary["repeated"], summary["out_of_order"]) == (0, 0, 0)
    assert (summary["refused"], summary["dead_letters"]) == (3, 0)
    assert (summary["reminders"], summary["escalations"]) == (4, 2)
    assert {name: said for name, said in summary.items() if " " in name} == PUSHED
    answered = {moment["who"] for moment in moments if moment["what"] == "answered received"}
    assert answered == {"caisi", "cisa", "dod", "treasury"}
    refused = {(moment["who"], moment["detail"].split(":")[0]) for moment in moments if "refused" in moment["what"]}
    assert refused == {("basalt-ai", "wrong_origin"), ("aurora-labs", "not_json"), ("treasury", "unknown_alert")}
    assert not list(tmp_path.iterdir())
