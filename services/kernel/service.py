"""What tells one service from another: its inputs, its decider, its state."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from schemas.command import Command, State, Taken
from schemas.envelope import Data, Emitted

Decide = Callable[[Any, Command, datetime], list[Emitted]]
Evolve = Callable[[Any, Emitted], Any]


@dataclass(frozen=True, slots=True)
class Input:
    """One co-partitioned topic that a service reads, and the events it may hold.

    `after` names other inputs of the service: a record here is decided only once those have been read to their end
    as seen after the record was taken.
    """

    topic: str
    events: tuple[type[Data], ...]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the kernel runs it.

    `edges` are prefixes of one-partition edge topics, read as they come and keyed by `edge_key`; a service has either
    edges or inputs. `registry`: `live` hands the latest version to each command; `positioned` makes each version one
    more record in the shard's order, decided key by key.
    """

    name: str
    state: type[State]
    decide: Decide
    evolve: Evolve
    inputs: tuple[Input, ...] = ()
    edges: tuple[str, ...] = ()
    edge_key: Callable[[Taken], str] | None = None
    registry: Literal["none", "live", "positioned"] = "live"

    @property
    def source(self) -> str:
        """The CloudEvents source of what it decides."""
        return f"/services/{self.name}"

    @property
    def state_topic(self) -> str:
        """The compacted topic of its state and positions."""
        return f"state.{self.name}"

    def input(self, topic: str) -> Input | None:
        """The declared input of this topic; None for an edge."""
        return next((i for i in self.inputs if i.topic == topic), None)
