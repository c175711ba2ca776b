"""What an opening takes from headers is what follows from the states; a state that is not as it should be is named."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import pytest

from schemas.delivery import Failure
from services.acknowledgements.app import SERVICE as ACKNOWLEDGEMENTS
from services.announcements.app import SERVICE as ANNOUNCEMENTS
from services.deliveries.app import SERVICE as DELIVERIES
from services.gateway.app import SERVICE as GATEWAY
from services.kernel.draft import Output
from services.kernel.gauges import Part
from services.kernel.ledger import Ledger
from services.kernel.service import Service
from services.kernel.state import Restored
from services.kernel.states import StateBroken, States
from services.kernel.summary import MOST_PARTS, Summaries
from services.notifier.app import SERVICE as NOTIFIER
from services.windows.app import SERVICE as WINDOWS
from tests.bench.material import kept
from tests.scale import scaled
from tests.simulation.lives import Life
from tests.simulation.world import World, pushed
from tests.unit import endpoint_world

SERVICES = (GATEWAY, ANNOUNCEMENTS, WINDOWS, NOTIFIER, ACKNOWLEDGEMENTS, DELIVERIES)
KNOWN = Path(__file__).parent / "summaries.json"
"""Of each service, what it made of some states, by form: `{service: {form: [[state, header], …]}}`."""


@cache
def written(service: Service) -> tuple[Output, ...]:
    """The records of this service's states in many lives, each under a key of its own."""
    found = list(_of_an_endpoint() if service is DELIVERIES else _of_releases(service))
    return tuple(one._replace(key=b"%d" % number) for number, one in enumerate(found))


def _of_releases(service: Service) -> Iterator[Output]:
    for seed in range(scaled(6, 200)):
        life = Life(seed)
        life.play()
        for record in life.world.logs[service.state_topic]:
            if record.value is not None and not record.key.startswith(b"!"):
                yield Output(service.state_topic, record.key, record.value, 0, record.headers)


def _of_an_endpoint() -> Iterator[Output]:
    failures: tuple[Failure | None, ...] = (None, "unreachable")
    for failure in failures:
        world = endpoint_world.Life(endpoint_world.registry(), 30, failure).world
        for number in range(12):
            world.take(endpoint_world.requested(number, 1, world.now))
            world.until(world.now + timedelta(seconds=20 * number))
            assert world.state is not None
            yield from kept(DELIVERIES, {"cisa/hook": world.state})


def opened(service: Service, records: tuple[Output, ...], *, trusting: bool = True) -> Restored:
    """A shard's opening on these."""
    restored = Restored()
    taken = {one.key: (one.value or b"", one.headers) for one in records}
    for _ in restored.take(service, 0, taken, trusting=trusting):
        pass
    return restored


@pytest.mark.parametrize("service", SERVICES, ids=lambda one: one.name)
def test_an_opening_from_headers_is_one_from_the_states_themselves(service: Service) -> None:
    records = written(service)
    by_header, by_state = opened(service, records), opened(service, records, trusting=False)
    assert len(by_header.states) == len(by_state.states) > 10
    assert by_header.timers == by_state.timers
    assert by_header.parts == by_state.parts
    assert by_header.effects == by_state.effects
    assert dict(by_header.states) == dict(by_state.states)  # each is held against its header here
    assert bool(by_state.timers) == (service not in (GATEWAY, ANNOUNCEMENTS))
    assert bool(by_state.parts) == (service.parts is not None)
    assert bool(by_state.effects) == (service is DELIVERIES)


@pytest.mark.parametrize("service", SERVICES, ids=lambda one: one.name)
def test_a_state_that_stands_still_says_the_same_or_the_form_is_counted_up(service: Service) -> None:
    """Else versions that work side by side would believe each other's headers, and open on different things.

    Where this fails, raise the service's `form`, and let `python -m tests.unit.test_summary` write the new one down.
    """
    known = json.loads(KNOWN.read_text())[service.name][Summaries(service).form]
    for value, header in known:
        state = service.state.model_validate_json(value, extra="ignore")
        summaries = Summaries(service)
        assert (summaries.header(summaries.of(state)) or b"").decode() == header


def test_a_state_without_a_header_or_with_one_of_another_form_is_read_at_the_opening() -> None:
    records = written(WINDOWS)[:5]
    bare = tuple(one._replace(headers=()) for one in records)
    assert opened(WINDOWS, bare) == opened(WINDOWS, records)
    later = replace(WINDOWS, form=WINDOWS.form + 1, parts=lambda _: ())
    assert opened(later, records).parts == {}
    broken = tuple(one._replace(value=b'{"life":1}') for one in bare)
    with pytest.raises(StateBroken, match=r"the state of 0 in state.windows partition 0 cannot be read: revision: Fi"):
        opened(WINDOWS, broken)


def repeat(part: Part, times: int, state: object) -> list[Part]:
    """What a state adds to gauges that says the same so often."""
    return [part] * times


def test_a_state_of_many_parts_goes_without_a_header() -> None:
    (part,) = opened(WINDOWS, written(WINDOWS)[:1]).parts["0"]
    state = WINDOWS.state.model_validate_json(written(WINDOWS)[0].value or b"")
    for most, headers in ((MOST_PARTS, 1), (MOST_PARTS + 1, 0)):
        service = replace(WINDOWS, parts=partial(repeat, part, most))
        (record,) = kept(service, {"0": state})
        assert len(record.headers) == headers
        assert len(opened(service, (record,)).parts["0"]) == most


def test_a_state_is_read_when_it_is_used_and_once() -> None:
    records = written(WINDOWS)[:5]
    states = opened(WINDOWS, records).states
    assert isinstance(states, States)
    assert len(states) == len(list(states)) == 5
    assert all(isinstance(held, tuple) for held in states._held.values())
    assert states["3"] is states["3"]
    assert [key for key, held in states._held.items() if not isinstance(held, tuple)] == ["3"]
    assert states.get("5") is None


def test_a_header_that_says_otherwise_than_its_state_is_noticed_when_that_is_used() -> None:
    one, other = (next(o for o in written(WINDOWS) if word in (o.value or b"")) for word in (b'"open"', b'"scheduled"'))
    states = opened(WINDOWS, (one._replace(headers=other.headers),)).states
    with pytest.raises(StateBroken, match="is not what its header says"):
        states[one.key.decode()]


FINDERS: dict[str, tuple[str, Callable[[World], World]]] = {
    "a record": ("windows", lambda world: world.announce(handling="anew")),
    "a timer": ("windows", lambda world: world.until(20)),
    "a registry version": ("notifier", lambda world: world.apply(pushed(version=2))),
}


@pytest.mark.parametrize("found_by", FINDERS)
def test_a_state_that_cannot_be_read_makes_no_dead_letter_of_what_is_at_hand(found_by: str) -> None:
    name, finds = FINDERS[found_by]
    world = World(pushed()).announce()
    world.crash(name)
    ledger = world.ledgers[name]
    assert isinstance(ledger.states, States)
    ledger.states._held = {key: (b"{", held[1]) for key, held in ledger.states._held.items() if isinstance(held, tuple)}
    with pytest.raises(StateBroken, match=rf"in state\.{name} partition 0 cannot be read"):
        finds(world)
    assert not world.logs["dead-letters"]
    assert not ledger.draft.dead_letters


def test_a_ledger_that_reads_a_state_goes_on_from_it() -> None:
    records = written(WINDOWS)[:1]
    ledger = Ledger(WINDOWS, 0, opened(WINDOWS, records))
    assert ledger.states["0"] == WINDOWS.state.model_validate_json(records[0].value or b"")


def _write_down() -> None:
    """Adds what this version makes of some states, where nothing of its form stands there yet."""
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    for service in SERVICES:
        different = {one.headers[0][1]: one for one in written(service)}
        chosen = list(different.values())[:: max(1, len(different) // 3)][:3]
        made = [[(one.value or b"").decode(), one.headers[0][1].decode()] for one in chosen]
        known.setdefault(service.name, {}).setdefault(Summaries(service).form, made)
    KNOWN.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    _write_down()
