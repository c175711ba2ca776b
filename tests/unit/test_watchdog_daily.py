"""The daily line that all is well: when it is due, for whom, and that it follows a round that came through."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.registry import Registry
from services.watchdog.daily import lines

DAY = timedelta(days=1)


def registry(**agency: Any) -> Registry:
    """One agency with a webhook that asks for the line, one that does not, and a mail."""
    hook = {"channel": "webhook", "tier": "watch", "url": "https://a.example", "secrets": ["env:A"]}
    endpoints = {
        "hook": hook | {"alive_at": "08:00"},
        "other": hook,
        "desk": {"channel": "email", "tier": "watch", "to": "desk@cisa.example"},
    }
    return Registry.model_validate(
        {"agencies": {"cisa": {"name": "CISA", "endpoints": endpoints, **agency}}}, strict=False
    )


NEW_YORK = registry(time_zone="America/New_York")


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "now", "due"),
    [
        (at(2027, 3, 8, 12, 57), at(2027, 3, 8, 12, 59), False),
        (at(2027, 3, 8, 12, 57), at(2027, 3, 8, 13, 2), True),
        (at(2027, 3, 8, 13, 2), at(2027, 3, 8, 13, 7), False),
        (at(2027, 3, 15, 11, 57), at(2027, 3, 15, 12, 2), True),  # the clocks went forward on the 14th
        (at(2027, 3, 5), at(2027, 3, 8, 12, 59), True),  # no round came through for days: one line, late
    ],
)
def test_a_line_is_due_at_the_first_round_after_its_time_in_the_agencys_zone(
    since: datetime, now: datetime, due: bool
) -> None:
    found = list(lines(NEW_YORK, since, now))
    assert [(line.agency, line.endpoint, line.notice, line.requested_at) for line in found] == [
        ("cisa", "hook", "alive", now)
    ] * due


def test_each_day_has_one_line_whatever_the_clocks_do() -> None:
    for time_of_day in ("00:00", "01:30", "02:30", "23:59"):
        asking = registry(time_zone="America/New_York")
        hook = asking.agencies["cisa"].endpoints["hook"].model_copy(update={"alive_at": time_of_day})
        cisa = asking.agencies["cisa"].model_copy(update={"endpoints": {"hook": hook}})
        asking = asking.model_copy(update={"agencies": {"cisa": cisa}})
        since, ids = at(2027, 1, 1), []
        for number in range(1, 12 * 365):
            now = at(2027, 1, 1) + number * timedelta(hours=2)
            ids += [line.notice_id for line in lines(asking, since, now)]
            since = now
        assert len(ids) == len(set(ids)) == 365


def test_asked_for_again_it_has_the_same_id_and_the_next_days_has_another() -> None:
    days = (at(2027, 3, 8, 14), at(2027, 3, 8, 15), at(2027, 3, 9, 14))
    first, again, other = (next(lines(NEW_YORK, now - DAY, now)).notice_id for now in days)
    assert first == again != other
