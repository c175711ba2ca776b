"""All that the topics say of one release, and the registry's versions: what the parts of the audit read."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from schemas.acknowledgement import AcknowledgementRecorded
from schemas.delivery import DeliveryCancelled, DeliveryRequested
from schemas.registry import Registry
from services.audit.record import Seen, Topics


class Versions:
    """The registry's versions, in their order."""

    def __init__(self, log: Iterable[Seen]) -> None:
        self.seen = list(log)
        self._ms = [one.ms for one in self.seen]
        self._by_number = {one.data.version: index for index, one in enumerate(self.seen)}

    def __len__(self) -> int:
        return len(self.seen)

    def of(self, index: int) -> Registry:
        """The version at a place; before the first there is an empty one."""
        found: Registry = self.seen[index].data if index >= 0 else Registry()
        return found

    def until(self, ms: int) -> int:
        """The place of the last one appended until then; -1: there was none."""
        return bisect_right(self._ms, ms) - 1

    def numbered(self, version: int) -> int | None:
        """The place of the version with this number."""
        return self._by_number.get(version, -1 if version == 0 else None)


@dataclass
class Story:
    """One release, each list in the order of its topic."""

    release_id: str
    announcements: list[Seen] = field(default_factory=list)
    windows: list[Seen] = field(default_factory=list)
    alerts: list[Seen] = field(default_factory=list)
    acks: list[Seen] = field(default_factory=list)
    acknowledgements: list[Seen] = field(default_factory=list)
    reminders: list[Seen] = field(default_factory=list)
    requests: list[Seen] = field(default_factory=list)
    cancels: list[Seen] = field(default_factory=list)
    outcomes: list[Seen] = field(default_factory=list)
    disclosures: list[Seen] = field(default_factory=list)
    receipts: list[Seen] = field(default_factory=list)

    @cached_property
    def told(self) -> dict[str, list[Seen]]:
        """The alerts of each agency, in their order."""
        return _by_agency(self.alerts)

    @cached_property
    def answered(self) -> dict[str, list[Seen]]:
        """The recorded answers of each agency."""
        return _by_agency(one for one in self.acknowledgements if isinstance(one.data, AcknowledgementRecorded))

    def ids_of(self, agency: str, root: str) -> set[str]:
        """The ids under which an agency was told of one alert: its own, and those of its repetitions."""
        told = (one.data for one in self.told[agency])
        return {data.alert_id for data in told if (data.repeats or data.alert_id) == root}

    def is_whole(self, cut: Iterable[str]) -> bool:
        """Whether its beginning is kept: the first event of a window follows from a first statement."""
        if "windows" not in cut and "alerts" not in cut:
            return True
        first = self.windows[0].data if self.windows else None
        return first is not None and first.window.revision == 1 and first.due_at is None


def _by_agency(log: Iterable[Seen]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = defaultdict(list)
    for one in log:
        found[one.data.agency].append(one)
    return found


def stories(topics: Topics) -> dict[str, Story]:
    """What was read, release by release."""
    found: dict[str, Story] = defaultdict(lambda: Story(""))

    def of(release_id: str) -> Story:
        story = found[release_id]
        story.release_id = release_id
        return story

    for seen in topics.logs["announcements"]:
        of(seen.data.announcement.release_id).announcements.append(seen)
    for seen in topics.logs["windows"]:
        of(seen.data.window.release_id).windows.append(seen)
    for name in ("alerts", "acks", "acknowledgements", "reminders"):
        for seen in topics.logs[name]:
            getattr(of(seen.data.release_id), name).append(seen)
    for seen in topics.logs["deliveries"]:
        if isinstance(seen.data, DeliveryRequested):
            of(seen.data.alert.release_id).requests.append(seen)
        elif isinstance(seen.data, DeliveryCancelled):
            of(seen.data.release_id).cancels.append(seen)
    for seen in topics.logs["delivery-outcomes"]:
        if (about := getattr(seen.data, "release_id", None)) is not None:
            of(about).outcomes.append(seen)
    for log in topics.families("receipts.").values():
        for seen in log:
            if seen.event.type == "herald.disclosure.made.v1":
                of(seen.data.release_id).disclosures.append(seen)
            elif seen.data.release_id is not None:
                of(seen.data.release_id).receipts.append(seen)
    return dict(found)
