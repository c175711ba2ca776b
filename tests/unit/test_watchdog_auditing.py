"""The audit on schedule: what a run says becomes metrics, and a run that failed changes none."""

import asyncio
import sys
from datetime import timedelta

import pytest
from prometheus_client import Gauge
from structlog.testing import capture_logs

from services.kernel.catalogue import AUDIT_DIFFERENCES, AUDIT_LAST_RUN
from services.kernel.settings import WatchdogSettings
from services.watchdog import auditing

SETTINGS = WatchdogSettings(audit_every=timedelta(hours=1))


def value(gauge: Gauge) -> float:
    """What it shows."""
    return next(iter(gauge.collect())).samples[0].value


async def ran(patch: pytest.MonkeyPatch, program: str, settings: WatchdogSettings = SETTINGS) -> list[str]:
    """What is logged when the command is this program."""
    patch.setattr(auditing, "COMMAND", (sys.executable, "-c", program))
    auditor = auditing.Auditing(settings, lambda: True)
    with capture_logs() as logs:
        await auditor._audit()
    return [line["event"] for line in logs]


async def test_each_line_that_an_audit_prints_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await ran(monkeypatch, "print('{}'); print('{}'); exit(1)") == ["audit_differs"]
    assert value(AUDIT_DIFFERENCES) == 2
    assert await ran(monkeypatch, "") == []
    assert value(AUDIT_DIFFERENCES) == 0
    assert value(AUDIT_LAST_RUN) > 0


@pytest.mark.parametrize("program", ["exit(1)", "exit(2)", "print('{}')", "print('{}'); exit(4)"])
async def test_an_audit_that_failed_is_none(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    AUDIT_LAST_RUN.set(1)
    AUDIT_DIFFERENCES.set(7)
    assert await ran(monkeypatch, program) == ["audit_failed"]
    assert value(AUDIT_LAST_RUN) == 1
    assert value(AUDIT_DIFFERENCES) == 7


async def test_the_audit_is_the_kafka_user_that_is_named_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import os; exit(os.environ['HERALD_KAFKA__SASL_USERNAME'] != 'service.audit.1')"
    named = SETTINGS.model_copy(update={"audit_username": "service.audit.1"})
    monkeypatch.setenv("HERALD_KAFKA__SASL_USERNAME", "service.watchdog.1")
    assert await ran(monkeypatch, program, named) == []
    assert await ran(monkeypatch, program) == ["audit_failed"]


async def test_an_audit_that_runs_ends_with_its_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    started = asyncio.Event()

    async def spawned(*command: str, **how: object) -> asyncio.subprocess.Process:
        process = await asyncio.subprocess.create_subprocess_exec(*command, **how)  # type: ignore[arg-type]
        processes.append(process)
        started.set()
        return process

    processes: list[asyncio.subprocess.Process] = []
    monkeypatch.setattr("services.watchdog.auditing.asyncio.create_subprocess_exec", spawned)
    task = asyncio.create_task(auditing.Auditing(SETTINGS, lambda: True).run())
    await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await processes[0].wait() == -9
