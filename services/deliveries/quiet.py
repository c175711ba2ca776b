"""Until when an agency's quiet hours last. Pure: wall time in the agency's zone, with its daylight saving time."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from schemas.endpoint import QuietHours


def quiet_until(hours: QuietHours | None, time_zone: str, now: datetime) -> datetime | None:
    """The end of the quiet hours that `now` lies in, in UTC; None: it lies in none.

    An end that the clocks skip is that of as much later; one that comes twice is the first.
    """
    if hours is None:
        return None
    zone = ZoneInfo(time_zone)
    begins, ends = time.fromisoformat(hours.begins), time.fromisoformat(hours.ends)
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        first = datetime.combine(day, begins, zone)
        last = datetime.combine(day if ends > begins else day + timedelta(days=1), ends, zone)
        # Compared in UTC: within one zone Python compares wall times, which the change of the clocks makes wrong.
        if first.astimezone(now.tzinfo) <= now < last.astimezone(now.tzinfo):
            return last.astimezone(now.tzinfo)
    return None
