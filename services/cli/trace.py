"""`herald trace`: the path of one release through the topics, with the time that each hop took."""

import asyncio
from datetime import timedelta

from schemas.values import iso8601, rfc3339
from services.audit.gather import Edges, gather
from services.audit.path import Hop, path
from services.cli import session
from services.cli.pace import paced
from services.cli.releases import Release, release_id_of
from services.kernel.clock import SystemClock
from services.kernel.settings import SettingsError

LONG_MS = 10_000
"""What takes longer is shown as a duration."""


def trace(release: Release, as_json: session.Json = False) -> None:
    """Show the path of a release: said, taken, recorded, window, alert of each agency, deliveries, answers.

    Each line stands below the one that led to it, and says how many milliseconds of real time later Kafka took it.
    It is made from the topics alone, and shows ids and kinds, never what a release says.

    Example: herald trace aurora-labs/halo-4
    """
    asyncio.run(_trace(release, as_json))


async def _trace(release: str, as_json: bool) -> None:
    settings = session.settings()
    connection, clock = session.connect(settings), SystemClock(settings.clock)
    release_id, edges = await release_id_of(connection, release), Edges()
    records = await gather(connection, release_id, clock, paced("reading"), edges)
    if not records:
        raise SettingsError(f"{release}: Kafka keeps nothing of this release ({release_id})")
    for hop in path(records, edges, release_id):
        session.say(as_json, _line(hop, clock), **_fields(hop, clock))


def _line(hop: Hop, clock: SystemClock) -> str:
    kept, after = hop.kept, ""
    if hop.after_ms is not None:
        long = hop.after_ms >= LONG_MS
        after = f"+{iso8601(timedelta(milliseconds=hop.after_ms))}" if long else f"+{hop.after_ms} ms"
    return f"{rfc3339(clock.at(kept.ms)):27} {after:>12}  {'  ' * hop.depth}{hop.name}  {hop.about}  ({kept.where})"


def _fields(hop: Hop, clock: SystemClock) -> dict[str, object]:
    kept, cause = hop.kept, hop.cause
    return {
        "at": rfc3339(clock.at(kept.ms)),
        "hop": hop.name,
        "about": hop.about,
        "after_ms": hop.after_ms,
        "event_id": hop.event_id or None,
        "where": kept.where,
        "cause": cause.kept.where if cause is not None else None,
    }
