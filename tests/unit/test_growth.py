"""What more live windows cost: an event looks at its own key only, and a registry version is decided in steps."""

import dataclasses
import gc
from datetime import timedelta
from typing import Any

import pytest

from schemas.command import Command, RegistryChanged, State, Timer
from schemas.envelope import encode
from services.kernel.collecting import uncollected
from services.kernel.draft import MAX_SWEPT
from services.kernel.inbox import Item
from services.kernel.ledger import REGISTRY_TOPIC, Ledger
from services.kernel.service import Service
from services.kernel.state import Positions, Restored
from services.notifier.app import SERVICE as NOTIFIER
from services.windows.app import SERVICE as WINDOWS
from services.windows.state import WindowState
from tests.bench import material
from tests.bench.restoring import live
from tests.simulation.world import START


def looks_of_an_event(count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a state's timer is asked for while 50 events are decided and committed among so many windows."""
    states = {one.key.decode(): WindowState.model_validate_json(one.value or b"") for one in live(count)}
    ledger = Ledger(WINDOWS, 0, Restored.of(WINDOWS, states))
    ledger.registry = material.registry(1)
    looks, next_timer = 0, WindowState.next_timer

    def counted(state: WindowState) -> Timer | None:
        nonlocal looks
        looks += 1
        return next_timer(state)

    monkeypatch.setattr(WindowState, "next_timer", counted)
    given = material.records("announcements", 2)[1]
    for offset, key in enumerate(sorted(states)[:50]):
        value = (given.value or b"").replace(given.key, key.encode())
        ledger.take(Item("announcements", 0, offset, START + timedelta(seconds=offset), key.encode(), value))
        ledger.next_timer()
        ledger.confirm()
    monkeypatch.undo()
    return looks


def test_an_event_looks_at_its_own_window_however_many_are_live(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (looks_of_an_event(count, monkeypatch) for count in (50, 1_000))
    assert few == many > 0


def notifier(decided: list[str], states: dict[str, Any], after: Positions | None = None) -> Ledger:
    """A notifier's shard on these states, which notes whom a registry version is decided for."""

    def decide(state: State | None, command: Command, now: Any) -> Any:
        if isinstance(command, RegistryChanged):
            decided.append(command.cause)
        return NOTIFIER.decide(state, command, now)

    service: Service = dataclasses.replace(NOTIFIER, decide=decide)
    found = Ledger(service, 0, Restored.of(service, states, after))
    found.registry = material.registry(1)
    return found


def test_a_registry_version_is_decided_some_windows_at_a_time_and_goes_on_there_after_a_crash() -> None:
    (window,) = material.records("windows", 1)
    first = notifier([], {})
    first.take(Item("windows", 0, 0, START, window.key, window.value))
    first.confirm()
    (state,) = first.states.values()
    states = {f"{number:05}": state for number in range(2 * MAX_SWEPT + 50)}
    version = material.registry(1).model_copy(update={"version": 2})
    value = version.stamped(cause="c", ordinal=0, source="/services/registry", time=START)
    decided: list[str] = []
    ledger = notifier(decided, states)
    ledger.take(Item(REGISTRY_TOPIC, 0, 0, START, b"registry", encode(value)))
    assert ledger.sweeping
    ledger.sweep()
    assert len(decided) == MAX_SWEPT
    assert ledger.draft.full
    ledger.confirm()
    assert ledger.sweeping
    ledger = notifier(decided, states, ledger.positions)
    ledger.registry = version
    steps = 0
    while ledger.sweeping:
        ledger.sweep()
        assert ledger.draft  # a step is committed, although nobody is told anything
        ledger.confirm()
        steps += 1
    assert steps == 2
    assert len(decided) == len(set(decided)) == len(states)


def test_the_collector_stands_still_while_any_shard_restores_and_leaves_what_was_restored_alone() -> None:
    before = gc.get_freeze_count()
    try:
        with uncollected():
            with uncollected():
                restored = [[number] for number in range(10_000)]
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(restored)
    finally:
        gc.unfreeze()
