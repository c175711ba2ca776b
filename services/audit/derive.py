"""The audit itself, pure: topics in, differences out."""

from collections.abc import Callable, Iterator
from datetime import datetime

from services.audit.alerts import alerts
from services.audit.answers import answers
from services.audit.chase import chase
from services.audit.copies import disclosures, edges
from services.audit.difference import Difference
from services.audit.push import paused, push
from services.audit.record import Bounds, Topics
from services.audit.statements import statements
from services.audit.story import Story, Versions, stories
from services.audit.waiting import Waiting


def derive(
    topics: Topics, bounds: Bounds, since: datetime | None = None, progress: Callable[[int, int], None] | None = None
) -> tuple[list[Difference], int]:
    """Every difference, in the order of time; with `since`, those from then on. What is in flight is none.

    And how many releases cannot be audited: retention has taken their beginning.
    """
    versions, asleep, waiting = Versions(topics.logs["registry-versions"]), paused(topics), Waiting(topics)
    known, skipped = stories(topics), 0
    found = [Difference("unreadable-record", one.at, "not an event of this topic", one.where) for one in topics.unread]
    found += edges(topics)
    for number, story in enumerate(known.values()):
        if story.is_whole(topics.cut):
            found += _of(story, versions, bounds, topics, asleep, waiting)
        else:
            skipped += 1
        if progress is not None:
            progress(number + 1, len(known))
    first = since or datetime.min.replace(tzinfo=bounds.settled_at.tzinfo)
    kept = [one for one in found if first <= one.at <= bounds.settled_at]
    return sorted(dict.fromkeys(kept), key=lambda one: one.at), skipped


def _of(
    story: Story,
    versions: Versions,
    bounds: Bounds,
    topics: Topics,
    asleep: set[tuple[str, str]],
    waiting: Waiting,
) -> Iterator[Difference]:
    yield from statements(story, bounds)
    told = alerts(story, versions, bounds)
    yield from told.differences
    yield from disclosures(story, told, topics)
    yield from chase(story, versions, bounds, waiting)
    yield from answers(story, topics)
    yield from push(story, told, versions, bounds, asleep)
