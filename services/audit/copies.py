"""What is written in two places: an agency's own topic beside `alerts`, and the lab's disclosures beside both."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from schemas.alert import DisclosureMade
from schemas.envelope import derived_id
from services.audit.alerts import Told
from services.audit.difference import Difference, found, named
from services.audit.record import Seen, Topics
from services.audit.story import Story
from services.audit.told import edited


def edges(topics: Topics) -> Iterator[Difference]:
    """An agency's topic holds its alerts and no others, byte for byte."""
    logs, cut = topics.families("alerts."), topics.cut
    mine: dict[str, dict[str, Seen]] = {
        agency: {one.data.alert_id: one for one in reversed(log)} for agency, log in logs.items()
    }
    told: dict[str, set[str]] = defaultdict(set)
    for alert in topics.logs["alerts"]:
        agency, alert_id = alert.data.agency, alert.data.alert_id
        told[agency].add(alert_id)
        copy = mine.get(agency, {}).get(alert_id)
        since = cut.get(f"alerts.{agency}")
        if copy is None and (since is None or alert.at > since):
            yield found("edge-copy-missing", alert, f"not on alerts.{agency}", **named(alert))
        elif copy is not None and copy.digest != alert.digest:
            yield found("edge-copy-differs", copy, f"not the bytes of {alert.where}", **named(alert))
    for agency, log in logs.items():
        counted: Counter[str] = Counter()
        for copy in log:
            data = copy.data
            counted[data.alert_id] += 1
            about = named(copy) | {"agency": agency}
            if data.alert_id not in told[agency] and ("alerts" not in cut or copy.at > cut["alerts"]):
                yield found("edge-copy-unexpected", copy, "not on alerts", **about)
            elif counted[data.alert_id] == 2:
                yield found("alert-duplicate", copy, "stands twice on the agency's topic", **about)


def disclosures(story: Story, told: Told, topics: Topics) -> Iterator[Difference]:
    """The lab is told of each alert once; not of repetitions."""
    # Which of two causes at one instant came first is not known, nor how many were told before: two events each.
    causes = {derived_id("windows", one.event.id) for one in story.windows}
    causes |= {derived_id("registry", str(one.data.registry_version), story.release_id) for _, one in told.matched}
    most = 2 * max((len({*due.registry.agencies, *story.told}) for due, _ in told.matched), default=0) + 2
    ids = {derived_id(cause, DisclosureMade.type, str(ordinal)) for cause in causes for ordinal in range(most)}
    by_alert: dict[str, list[Seen]] = defaultdict(list)
    for one in story.disclosures:
        by_alert[one.data.alert_id].append(one)
    for due, alert in told.matched:
        data, lab = alert.data, due.window.lab
        about = named(alert)
        mine = by_alert.pop(data.alert_id, [])
        since = topics.cut.get(f"receipts.{lab}")
        if not mine and (since is None or alert.at > since):
            yield found("disclosure-missing", alert, f"{lab} was not told of it", **about)
        for again in mine[1:]:
            yield found("disclosure-unexpected", again, f"{lab} was told of it before", **about)
        for one in mine[:1]:
            wanted = DisclosureMade(
                release_id=story.release_id,
                lab=lab,
                reference=due.window.statement.reference,
                agency=due.agency,
                alert_id=data.alert_id,
                kind=due.kind,
                why=data.why,
                life=due.window.life,
                exercise=due.window.exercise,
                told_at=data.issued_at,
            )
            names = edited(
                one.event, wanted, source="/services/notifier", subject=story.release_id, time=data.issued_at
            )
            names += [] if one.event.id in ids else ["event id"]
            if one.topic != f"receipts.{lab}":
                names.append("topic")
            if names:
                yield found("record-edited", one, f"not as its alert implies: {', '.join(names)}", **about)
    known = {alert.data.alert_id for alert in story.alerts}
    for alert_id, log in by_alert.items():
        for one in log:
            if alert_id not in known and ("alerts" not in topics.cut or one.at > topics.cut["alerts"]):
                said = "the alert that it speaks of is not on alerts"
                yield found("disclosure-unexpected", one, said, **named(one))
