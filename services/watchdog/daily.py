"""The daily line by webhook that all is well: for whom it is due when a round has come through. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schemas.delivery import NoticeRequested
from schemas.endpoint import Webhook
from schemas.envelope import derived_id
from schemas.registry import Registry


def lines(registry: Registry, since: datetime, now: datetime) -> Iterator[NoticeRequested]:
    """One for each webhook that asks for it and whose time has come after `since`, the round before this one.

    So a line always follows a release that came through. After days in which none did there is one line, not several;
    asked for again, it has the same id.
    """
    for name, agency in registry.agencies.items():
        for endpoint_id, endpoint in agency.endpoints.items():
            if not isinstance(endpoint, Webhook) or endpoint.alive_at is None:
                continue
            due = _last(time.fromisoformat(endpoint.alive_at), ZoneInfo(agency.time_zone), now)
            if due > since:
                yield NoticeRequested(
                    agency=name,
                    endpoint=endpoint_id,
                    notice_id=derived_id("notice", "alive", name, endpoint_id, due.isoformat()),
                    notice="alive",
                    about=endpoint_id,
                    requested_at=now,
                )


def _last(at: time, zone: ZoneInfo, now: datetime) -> datetime:
    """When it was last so late there, in UTC. What comes twice is the first, what is skipped as much later."""
    today = now.astimezone(zone).date()
    days = (datetime.combine(today - timedelta(days=back), at, zone).astimezone(UTC) for back in range(3))
    return next(instant for instant in days if instant <= now)
