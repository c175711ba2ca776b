"""Spans are an extra: off, nothing of them is there; on, they are what was committed, with the events' own ids."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.contextvars import get_contextvars

from schemas.command import Effect
from schemas.envelope import Emitted, Stamped, derived_id
from schemas.registry import Registry
from services.deliveries.letter import Attempt
from services.kernel.effects import Effects, Outside
from services.kernel.ledger import Ledger
from services.kernel.otel import Spans
from services.kernel.service import Service
from services.kernel.settings import SettingsError
from services.kernel.slots import Slots
from services.kernel.spans import ENDPOINT, request_spans_of, spans_of
from services.kernel.state import Restored
from services.windows.app import SERVICE
from tests.broker.otlp import Collector, Taken
from tests.simulation.world import World, release

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"


class Kept(Collector):
    """Takes what spans of a process say."""

    def __init__(self) -> None:
        super().__init__()
        self.process = Spans("windows", self.take)

    def ended(self) -> list[Taken]:
        """What was exported."""
        self.process.close()
        return self.spans


def decided(flags: str, *, traced: bool = True, service: Service = SERVICE) -> Ledger:
    """Windows, having decided an announcement of this trace."""
    world = World()
    world.down = {"windows"}
    world.send("releases.lab", "/labs/lab", "release.announced", release(), traceparent=TRACE + flags)
    ledger = Ledger(service, 0, Restored(), traced=traced)
    ledger.registry = world.first
    item = world._next(ledger, "announcements")
    assert item is not None
    ledger.take(item)
    return ledger


def test_off_no_process_of_a_service_imports_an_sdk_or_exporter() -> None:
    script = (
        "import services.kernel.runner, services.gateway.door.app, sys;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_off_nothing_is_kept_for_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENDPOINT, raising=False)
    assert spans_of("windows") is None
    assert decided("01", traced=False).draft.told == []


@pytest.mark.parametrize(("of", "module"), [(spans_of, "otel"), (request_spans_of, "request_spans")])
def test_on_without_the_extra_says_what_to_install(
    of: Callable[[str], object], module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.delitem(sys.modules, f"services.kernel.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"ENDPOINT is set .* pip install 'herald-early-access\[otel\]'"):
        of("windows")


def test_a_span_has_the_ids_of_its_event_and_continues_that_of_the_record() -> None:
    kept, ledger = Kept(), decided("01")
    (told,) = ledger.draft.told
    kept.process.decided(ledger.draft.told, 1_000, 2_000)
    (span,) = kept.ended()
    assert (f"00-{span.trace}-{span.id}-01", span.parent) == (told.event.traceparent, str(told.continues)[36:52])
    assert (span.service, span.name, span.times) == ("herald-windows", "herald.window.scheduled.v1", (1_000, 2_000))
    assert span.attributes == {
        "messaging.system": "kafka",
        "messaging.destination.name": "windows",
        "messaging.message.id": told.event.id,
        "herald.subject": told.event.subject,
    }
    assert (span.links, span.failed) == ((), False)


def test_what_continues_another_trace_than_the_record_at_hand_has_a_link_to_that() -> None:
    kept, ledger = Kept(), decided("01")
    sent = f"00-{'1' * 32}-{'2' * 16}-01"
    kept.process.decided([replace(one, sent=sent) for one in ledger.draft.told], 1_000, 2_000)
    assert [span.links for span in kept.ended()] == [("2" * 16,)]


def test_a_trace_that_its_beginner_does_not_keep_is_not_exported() -> None:
    kept, ledger = Kept(), decided("00")
    kept.process.decided(ledger.draft.told, 1_000, 2_000)
    assert ledger.draft.told
    assert kept.ended() == []


def test_a_ratio_keeps_whole_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    kept, (told,) = Kept(), decided("01").draft.told
    assert isinstance(told.event, Stamped)
    for trace in ("7" + "f" * 15, "8" + "0" * 15):  # a ratio looks at the last 16 digits
        for span in ("1" * 16, "2" * 16):
            said = told.event._replace(traceparent=f"00-{'a' * 16}{trace}-{span}-01")
            kept.process.decided([replace(told, event=said)], 1_000, 2_000)
    assert [(span.trace[16:], span.id[0]) for span in kept.ended()] == [("7" + "f" * 15, "1"), ("7" + "f" * 15, "2")]


def test_a_failed_attempt_says_why() -> None:
    kept, effect = Kept(), Effect("8f0a7a52-5a0c-5c3e-9a43-0f3d0b7d5e11", None, TRACE + "01")
    kept.process.attempted("cisa/desk", effect, Attempt(0.1, "timeout"), 1_000, 2_000)
    (span,) = kept.ended()
    assert span.attributes == {"herald.subject": "cisa/desk", "error.type": "timeout"}
    assert span.failed


async def test_what_is_logged_while_something_is_done_outside_carries_trace_and_no_other_ones() -> None:
    bound: dict[str, Any] = {}

    class Logging:
        limit = 4

        async def perform(self, key: str, effect: Effect, registry: Registry) -> None:
            await asyncio.sleep(0)
            bound[key] = get_contextvars().get("trace_id")

        async def close(self) -> None:
            """Nothing is kept."""

    one = Effects(Outside(Logging(), Slots(4)), lambda: None, lambda: True)
    for key, trace in (("a", "1" * 32), ("b", "2" * 32)):
        one.start(key, [Effect(derived_id(key), None, f"00-{trace}-{'3' * 16}-01")], Registry())
    for _ in range(20):
        await asyncio.sleep(0)
    assert bound == {"a": "1" * 32, "b": "2" * 32}
    assert "trace_id" not in get_contextvars()


def test_a_dead_letter_is_logged_with_its_release_and_trace() -> None:
    def fails(*_: Any) -> list[Emitted]:
        raise RuntimeError

    ledger = decided("01", service=replace(SERVICE, decide=fails))
    (letter,) = ledger.draft.dead_letters
    (announced,) = ledger.draft.items
    assert announced.key is not None
    assert (letter["release_id"], letter["trace_id"]) == (announced.key.decode(), TRACE[3:35])
