"""Collects all that Kafka keeps of one release, and the registry's versions from its beginning to its end."""

import json
from collections.abc import Iterator

from services.audit.evidence import Kept
from services.audit.reading import Progress, records
from services.audit.record import READ
from services.kernel.clock import Clock
from services.kernel.connection import Connection

REGISTRY = "registry-versions"
Edges = dict[tuple[str, str], Kept]
"""The first record of an event on a lab's or an agency's own topic, by topic and the event's id; without its value."""


async def gather(
    connection: Connection,
    release_id: str,
    clock: Clock,
    progress: Progress | None = None,
    edges: Edges | None = None,
) -> list[Kept]:
    """A release's records, in the order in which Kafka took them; empty: there are none. Raises NothingToAudit.

    `edges` is filled with what stands on labs' and agencies' own topics, where it is wanted: of all releases, since
    what says which release it is of has not been looked at there.
    """
    own: list[Kept] = []
    versions: list[Kept] = []
    key = release_id.encode()
    families = ("alerts.", "receipts.") if edges is None else ("alerts.", "receipts.", "releases.", "acks.")
    async for name, record in records(connection, ("releases", *READ), families, clock, progress=progress):
        where = (record.timestamp, name, record.partition, record.offset)
        if name.startswith(("releases.", "acks.")) and edges is not None:
            if (event_id := _event_id(record.value)) is not None:
                edges.setdefault((name, event_id), Kept(*where, "", ""))
            continue
        # What is keyed by endpoint names its release inside.
        if name != REGISTRY and record.key != key and not (name == "deliveries" and key in (record.value or b"")):
            continue
        texts = [(each or b"").decode(errors="backslashreplace") for each in (record.key, record.value)]
        (versions if name == REGISTRY else own).append(Kept(*where, *texts))
    return sorted([*own, *_in_force(versions, own)])


def _in_force(versions: list[Kept], own: list[Kept]) -> Iterator[Kept]:
    """The version before the first record, and all until the last."""
    if own:
        first, last = min(own).ms, max(own).ms
        before = [one for one in versions if one.ms <= first]
        yield from before[-1:]
        yield from (one for one in versions if first < one.ms <= last)


def _event_id(value: bytes | None) -> str | None:
    """The id of an event that nobody has looked at yet; None: it has none."""
    try:
        found = json.loads(value or b"")
    except ValueError:
        return None
    named = found.get("id") if isinstance(found, dict) else None
    return named if isinstance(named, str) else None
