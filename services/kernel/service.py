"""What tells one service from another: its inputs, its decider, its state."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from schemas.command import Command, Effect, State, Taken
from schemas.envelope import Data, Emitted
from schemas.registry import Registry
from services.kernel.gauges import Parts
from services.kernel.settings import Settings

if TYPE_CHECKING:
    from services.kernel.draft import Decided


class Performer(Protocol):
    """Does what a service's states say has begun. It keeps no state of its own that anybody needs."""

    limit: int
    """How much it does at once, in a process."""

    async def perform(self, key: str, effect: Effect, registry: Registry) -> Any:
        """The outcome; whatever goes wrong is one."""

    async def close(self) -> None:
        """Lets go of connections."""


Decide = Callable[[Any, Command, datetime], list[Emitted]]
Evolve = Callable[[Any, Emitted], Any]


@dataclass(frozen=True, slots=True)
class Committed:
    """What one transaction wrote. `at`: Herald's time after its commit; `taken`: when each topic took its records."""

    events: "Sequence[Decided]"
    at: datetime
    taken: Mapping[str, datetime]


def exemplar(trace_id: str | None) -> dict[str, str] | None:
    """What leads from a measure to a trace, where there is one."""
    return {"trace_id": trace_id} if trace_id is not None else None


@dataclass(frozen=True, slots=True)
class Input:
    """One co-partitioned topic that a service reads, and the events it may hold.

    `after` names other inputs of the service: a record here is decided only once those have been read to their end
    as seen after the record was taken. `patient`: nobody waits for what follows from it, so it keeps to the service's
    pace.
    """

    topic: str
    events: tuple[type[Data], ...]
    after: tuple[str, ...] = ()
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the kernel runs it.

    `edges` are prefixes of one-partition edge topics, read as they come and keyed by `edge_key`; a service has either
    edges or inputs. `registry`: `live` hands the latest version to each command; `positioned` makes each version one
    more record in the shard's order, decided key by key. `keyed_by` is what its keys are, in the words of the topics'
    catalogue: what it writes of the key at hand to topics keyed so stays in its partition, all else is placed by key.
    `performer` makes what does the effects of its states. `counts` counts what was committed, `parts` are what a state
    adds to gauges, and `on_registry` shows what follows from the latest version in this process. `form` is counted up
    when other things than before follow from a state that stands: its next timer, its parts, whether it has effects.
    `rest`: after a transaction a shard waits so many times as long as that took, up to 50 ms; `pace`: so many seconds,
    as long as only patient inputs wait.
    """

    name: str
    state: type[State]
    decide: Decide
    evolve: Evolve
    inputs: tuple[Input, ...] = ()
    edges: tuple[str, ...] = ()
    edge_key: Callable[[Taken], str] | None = None
    registry: Literal["none", "live", "positioned"] = "live"
    performer: Callable[[Settings], Performer] | None = None
    keyed_by: str = "release id"
    counts: Callable[[Committed], None] | None = None
    parts: Parts | None = None
    form: int = 1
    on_registry: Callable[[Registry], None] | None = None
    rest: float = 0.5
    pace: float = 0.0

    @property
    def source(self) -> str:
        """The CloudEvents source of what it decides."""
        return f"/services/{self.name}"

    @property
    def state_topic(self) -> str:
        """The compacted topic of its state and positions."""
        return f"state.{self.name}"

    @property
    def patient(self) -> frozenset[str]:
        """The inputs that keep to the pace."""
        return frozenset(given.topic for given in self.inputs if given.patient)

    def input(self, topic: str) -> Input | None:
        """The declared input of this topic; None for an edge."""
        return next((i for i in self.inputs if i.topic == topic), None)
