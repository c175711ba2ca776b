"""The states of a shard's keys. One that was read back is kept as its record, and validated when it is first used."""

from collections.abc import Iterator, MutableMapping

from pydantic import ValidationError

from schemas.command import State
from services.kernel.dead_letter import Headers
from services.kernel.service import Service
from services.kernel.summary import Summaries, header_of

Unread = tuple[bytes, Headers]
"""A state as it was written: the value and headers of its record."""


class StateBroken(Exception):
    """A state cannot be read, or is not what its header says: people must look. No record at hand is at fault."""


class States(MutableMapping[str, State]):
    """By key, in `held`. Looking one up raises StateBroken where it cannot be read; counting them reads none."""

    def __init__(self, service: Service, partition: int, held: dict[str, State | Unread]) -> None:
        self._kind = service.state
        self._where = f"{service.state_topic} partition {partition}"
        self._summaries = Summaries(service)
        self._held = held

    def __getitem__(self, key: str) -> State:
        held = self._held[key]
        return self._read(key, held) if isinstance(held, tuple) else held

    def __setitem__(self, key: str, state: State) -> None:
        self._held[key] = state

    def __delitem__(self, key: str) -> None:
        del self._held[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def clear(self) -> None:
        """Lets go of all: what is unread stays so."""
        self._held.clear()

    def validated(self, key: str, value: bytes) -> State:
        """What was written of a key. Raises StateBroken."""
        try:
            return self._kind.model_validate_json(value, extra="ignore")
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise StateBroken(f"the state of {key} in {self._where} cannot be read: {wrong}") from None

    def _read(self, key: str, unread: Unread) -> State:
        value, headers = unread
        state = self.validated(key, value)
        if header_of(headers) != self._summaries.header(self._summaries.of(state)):
            raise StateBroken(f"the state of {key} in {self._where} is not what its header says")
        self._held[key] = state
        return state
