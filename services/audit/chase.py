"""Who should have been reminded, and when: worked out from the alerts that ask, the answers, and the windows.

Silence is judged by append times: a step that is due fires once all that was appended before has been handled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from schemas.acknowledgement import AcknowledgementOverdue, ReminderDue
from schemas.alert import AlertIssued
from schemas.envelope import derived_id
from schemas.values import Tier, rfc3339
from schemas.window import WindowClosed, WindowWithdrawn
from services.audit.answers import Given, recorded
from services.audit.difference import Difference, Kind, found, named
from services.audit.record import Bounds, Seen
from services.audit.repeats import is_forgotten, repeats
from services.audit.story import Story, Versions
from services.audit.waiting import Waiting

Step = Literal["reminder", "escalation", "exhausted"]
_MISSING: dict[Step, Kind] = {"reminder": "reminder-missing", "escalation": "escalation-missing"}


@dataclass(frozen=True, slots=True)
class Silence:
    """A step that comes due while nobody answers. `number`: of the tier in the ladder."""

    step: Step
    tier: Tier
    due_at: datetime
    number: int


def chase(story: Story, versions: Versions, bounds: Bounds, waiting: Waiting) -> Iterator[Difference]:
    """Everything about the reminders of one release."""
    given = recorded(story)
    reminders = {(one.data.alert_id, one.data.tier, one.data.chase): one for one in reversed(story.reminders)}
    overdue = {
        (one.data.alert_id, one.data.tier, one.data.exhausted, one.data.closed): one
        for one in story.acknowledgements
        if isinstance(one.data, AcknowledgementOverdue)
    }
    expected: set[str] = set()
    for alert in story.alerts:
        if alert.data.repeats is not None or not alert.data.answer_by:
            continue
        first, last = _ended(alert, story, given.get(alert.data.agency, []), bounds)
        for silence in _ladder(alert.data):
            # A step may come late, but not before its alert. At one instant it may come before the end, or after.
            acts_at = max(silence.due_at, alert.at)
            over = last is not None and last < acts_at - bounds.apart
            one = reminders.get((alert.data.alert_id, silence.tier, silence.step))
            late = overdue.get((alert.data.alert_id, silence.tier, silence.step == "exhausted", False))
            if one is not None and not over:
                expected.add(one.event.id)
                yield from _as_due(one, alert.data, silence)
            must = acts_at <= bounds.settled_at - bounds.apart and not is_forgotten(story, acts_at)
            must = must and (first is None or first > acts_at + bounds.apart)
            must = must and (first is None or not waiting.at(alert.partition, acts_at))
            if one is None and silence.step != "exhausted" and must:
                said = f"{silence.tier} was to be asked again at {rfc3339(silence.due_at)}"
                yield found(_MISSING[silence.step], alert, said, **named(alert))
            if late is None and silence.step != "escalation" and (must or one is not None):
                said = f"{silence.tier} did not answer until {rfc3339(silence.due_at)}, and that is not recorded"
                yield found("overdue-missing", alert, said, **named(alert))
            if not must and one is None:
                break
    for one in story.reminders:
        if one.event.id not in expected:
            yield found("reminder-unexpected", one, f"{one.data.chase} to {one.data.tier}: not due", **named(one))
    yield from repeats(story, versions, given, bounds)


def _ladder(alert: AlertIssued) -> Iterator[Silence]:
    """A reminder to each tier, then the next tier; at last nobody."""
    for number, rung in enumerate(alert.answer_by):
        yield Silence("reminder", rung.tier, rung.due_at, number)
        if number + 1 < len(alert.answer_by):
            yield Silence("escalation", alert.answer_by[number + 1].tier, rung.passed_at, number + 1)
        else:
            yield Silence("exhausted", rung.tier, rung.passed_at, number)


def _ended(alert: Seen, story: Story, given: list[Given], bounds: Bounds) -> tuple[datetime | None, datetime | None]:
    """When an alert's chase ended, at the earliest and at the latest; None: it goes on.

    It is answered, declined, superseded by one that asks or by a new life, or its window ends.
    """
    asks: AlertIssued = alert.data
    told = story.told[asks.agency]
    mine = story.ids_of(asks.agency, asks.alert_id)
    of_this_life = [one for one in given if one.answer.life == asks.life]
    ends = [one.at for one in of_this_life if one.answer.alert_id in mine]
    for later in told:
        if later.offset <= alert.offset or later.data.repeats is not None:
            continue
        if later.data.asks is not None or later.data.life > asks.life:
            ends.append(later.at)
    if asks.kind == "withdrawn":
        return min(ends, default=None), min(ends, default=None)
    for window in story.windows:
        if isinstance(window.data, WindowClosed | WindowWithdrawn) and window.data.window.life >= asks.life:
            ends.append(window.at)
    # What had been declined until the alert was read: an answer that was waiting then may count already, or not yet.
    stands, begins, is_read = {False}, alert.at - bounds.apart, alert.at + bounds.apart
    for one in of_this_life:
        if one.answer.disposition == "received":
            continue
        declines = one.answer.disposition == "declined"
        if one.at <= is_read:
            stands = {declines} if one.recorded_at < begins else stands | {declines}
        elif declines:
            ends.append(one.at)
    end = min(ends, default=None)
    return (asks.issued_at if True in stands else end), (end if False in stands else asks.issued_at)


def _as_due(one: Seen, asks: AlertIssued, silence: Silence) -> Iterator[Difference]:
    data: ReminderDue = one.data
    same = {"release_id": asks.release_id, "agency": asks.agency, "life": asks.life, "exercise": asks.exercise}
    wanted = same | {"due_at": silence.due_at}
    names = [name for name, value in wanted.items() if getattr(data, name) != value]
    # The timer behind it: the next step is told from this one by the tier at hand, and whether it was reminded.
    at_hand = silence.number if silence.step == "reminder" else silence.number - 1
    about = f"{asks.agency}/{asks.alert_id}/{at_hand}/{silence.step != 'reminder'}"
    cause = derived_id("timer", asks.release_id, "chase", silence.due_at.isoformat(), about)
    if one.event.id not in {derived_id(cause, ReminderDue.type, ordinal) for ordinal in "01"}:
        names.append("event id")
    if names:
        yield found("record-edited", one, f"not as the silence implies: {', '.join(names)}", **named(one))
