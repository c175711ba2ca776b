"""Ending: what keeps a cancellation for itself ends all the same."""

import asyncio
import os
import signal
from typing import Any

import pytest

from services.kernel import ending
from services.kernel.ending import ended
from services.kernel.health import HealthServer
from services.kernel.settings import KafkaSettings, Settings
from services.watchdog import app
from services.watchdog.patrol import Patrol
from services.watchdog.wire import Wire


async def keeps_one_cancellation() -> None:
    """As Kafka's client does when an answer comes in the same instant."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for before it is cancelled again."""
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 0.01)


async def test_a_task_that_keeps_a_cancellation_for_itself_is_cancelled_again_until_it_has_ended() -> None:
    async def fails() -> None:
        raise ValueError

    kept, other, failed = (asyncio.create_task(one) for one in (keeps_one_cancellation(), asyncio.sleep(60), fails()))
    await asyncio.sleep(0)
    await ended(kept, other, failed)
    assert (kept.cancelled(), other.cancelled(), failed.done()) == (True, True, True)


async def test_a_watchdog_whose_client_keeps_a_cancellation_ends_when_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, stopped = asyncio.Event(), []

    async def run(_: object) -> None:
        begun.set()
        await keeps_one_cancellation()

    async def stop(_: object) -> None:
        stopped.append(True)

    def nothing(*_: Any) -> None: ...

    monkeypatch.setattr(Patrol, "run", run)
    monkeypatch.setattr(Wire, "stop", stop)
    monkeypatch.setattr(HealthServer, "start", nothing)
    monkeypatch.setattr(HealthServer, "stop", nothing)
    watching = asyncio.create_task(app.watch(Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))))
    await asyncio.wait_for(begun.wait(), 10)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(watching, 10)
    assert stopped == [True]
