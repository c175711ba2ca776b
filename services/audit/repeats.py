"""Reminders and escalations that were due, and the alerts that followed from them."""

from collections.abc import Iterator
from datetime import datetime

from schemas.window import KEPT_AFTER_END
from services.audit.alerts import repetition
from services.audit.answers import Given
from services.audit.difference import Difference, found, named
from services.audit.record import Bounds, Seen
from services.audit.story import Story, Versions


def repeats(story: Story, versions: Versions, given: dict[str, list[Given]], bounds: Bounds) -> Iterator[Difference]:
    """Each reminder leads to one alert, unless something ended the chase meanwhile."""
    first = {one.data.alert_id: one for one in story.alerts if one.data.repeats is None}
    again = {(one.data.repeats, one.data.tier, one.data.chase): one for one in reversed(story.alerts)}
    asked = {(one.data.alert_id, one.data.tier, one.data.chase): one for one in story.reminders}
    for key, reminder in asked.items():
        alert = first.get(reminder.data.alert_id)
        if alert is None:
            yield found(
                "reminder-unexpected", reminder, "the alert that it repeats is not on alerts", **named(reminder)
            )
        elif (one := again.pop(key, None)) is not None:
            yield from repetition(one, reminder, alert, story, versions, bounds)
        elif not _is_moot(reminder, alert, story, given.get(alert.data.agency, []), bounds):
            said = f"{reminder.data.chase} to {reminder.data.tier} led to no alert"
            yield found("repeat-missing", reminder, said, **named(reminder))
    for (repeats, _, _), one in again.items():
        if repeats is not None:
            yield found("alert-unexpected", one, "it repeats an alert, and no reminder asked for that", **named(one))


def _is_moot(
    reminder: Seen,
    alert: Seen,
    story: Story,
    given: list[Given],
    bounds: Bounds,
) -> bool:
    """Whether the alert was answered, or a newer one asked, before the notifier can have read the reminder."""
    asks, until, told = alert.data, reminder.at + bounds.apart, story.told[alert.data.agency]
    mine = story.ids_of(asks.agency, asks.alert_id)
    answered = any(one.answer.alert_id in mine and one.at <= until for one in given)
    newer = any(
        one.offset > alert.offset
        and one.data.repeats is None
        and (one.data.asks is not None or one.data.life > asks.life)
        and one.data.happened_at <= until
        for one in told
    )
    new_life = any(one.data.window.life > asks.life and one.at <= until for one in story.windows)
    return answered or newer or new_life or is_forgotten(story, until)


def is_forgotten(story: Story, due_at: datetime) -> bool:
    """Whether the window had ended so long before that nobody is chased any more."""
    ended = [one.data.window for one in story.windows if one.at <= due_at]
    return bool(ended) and ended[-1].ended_at is not None and due_at >= ended[-1].ended_at + KEPT_AFTER_END
