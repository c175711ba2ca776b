"""Simulated topics as the audit reads them, and what is done to them so that it has something to find."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from services.audit.derive import derive
from services.audit.difference import Difference
from services.audit.record import READ, Bounds, Topics
from services.kernel.clock import EPOCH
from tests.simulation.lives import FATES, Life
from tests.simulation.world import Record, World

MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Written:
    """What stands in the topics after a life, at an instant."""

    logs: dict[str, list[Record]]
    now: datetime

    @cached_property
    def events(self) -> dict[str, list[dict[str, Any]]]:
        """The same, decoded."""
        return {name: [json.loads(one.value or b"{}") for one in log] for name, log in self.logs.items()}

    @classmethod
    def by(cls, seed: int) -> "Written":
        """Lives a life in which something comes of every delivery in the end."""
        life = Life(seed)
        silent = life.world.fate
        life.world.fate = lambda request: silent(request) or FATES[2]
        life.play()
        return cls.of(life.world)

    @classmethod
    def of(cls, world: World) -> "Written":
        """What stands in a world's topics."""
        read = {
            name: log for name, log in world.logs.items() if name in READ or name.startswith(("alerts.", "receipts."))
        }
        return cls(read, world.now)

    def copy(self) -> "Written":
        """Another one to be changed."""
        return Written({name: list(log) for name, log in self.logs.items()}, self.now)

    def drop(self, unwanted: Callable[[str, dict[str, Any]], bool]) -> None:
        """Takes records away, as if they had never been written."""
        for name, log in self.logs.items():
            events = self.events[name]
            self.logs[name] = [r for r, event in zip(log, events, strict=True) if not unwanted(name, event)]
        del self.events

    def change(self, name: str, number: int, edit: Callable[[dict[str, Any]], None]) -> None:
        """Writes a record otherwise."""
        event = self.events[name][number]
        edit(event)
        changed = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        self.logs[name][number] = replace(self.logs[name][number], value=changed)

    def differences(self, apart_ms: int = 0) -> list[Difference]:
        """What the audit finds. Nothing is in flight; the logs' times are exact, unless they may lie so far apart."""
        return self.derived(apart_ms)[0]

    def derived(self, apart_ms: int = 0, cut: Iterable[str] = ()) -> tuple[list[Difference], int]:
        """The same, and how many releases are skipped; `cut`: topics whose beginning retention has taken."""
        topics = Topics(cut=dict.fromkeys(cut, self.now))
        for name, log in self.logs.items():
            for offset, one in enumerate(log):
                topics.take(name, 0, offset, (one.at - EPOCH) // MILLISECOND, one.at, one.key, one.value)
        bounds = Bounds((self.now - EPOCH) // MILLISECOND, apart_ms, lambda ms: EPOCH + ms * MILLISECOND)
        return derive(topics, bounds)
