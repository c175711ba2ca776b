"""Holds the alerts that were issued against those that should have been: who, what, in which order, word by word."""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.alert import AlertIssued
from services.audit.concern import why_concerned
from services.audit.difference import Difference, found, named
from services.audit.due import Due, Key, keys
from services.audit.expect import expected
from services.audit.record import Bounds, Seen
from services.audit.story import Story, Versions
from services.audit.told import edited, first_told, told_again


@dataclass(slots=True)
class Told:
    """What a release's alerts are: which of them is due for what, and the differences."""

    matched: list[tuple[Due, Seen]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


def alerts(story: Story, versions: Versions, bounds: Bounds) -> Told:
    """Everything about the alerts of one release but its reminders."""
    told = Told()
    left = {(one.partition, one.offset): one for one in story.alerts if one.data.repeats is None}
    by_key: dict[Key, deque[Seen]] = defaultdict(deque)
    for one in left.values():
        for key in set(keys(one.data)):
            by_key[key].append(one)
    unmet: list[Due] = []
    for each in expected(story, versions, bounds):  # in the order in which they should have come
        while by_key[each.key] and not _is_left(left, by_key[each.key][0]):
            by_key[each.key].popleft()
        if by_key[each.key]:
            told.matched.append((each, _take(left, by_key[each.key].popleft())))
        else:
            unmet.append(each)
    for each in unmet:
        changed = next((one for one in left.values() if _nearly(each, one.data)), None)
        if changed is not None:
            told.matched.append((each, _take(left, changed)))
        elif each.cause.ms <= bounds.settled_ms:
            said = f"{each.kind} should have been issued"
            about = {"release_id": story.release_id, "agency": each.agency}
            told.differences.append(found("alert-missing", each.cause, said, **about))
    known = {one.data.alert_id for _, one in told.matched}
    told.differences += [_left_over(story, one, known, versions) for one in left.values()]
    for each, alert in told.matched:
        told.differences += _compared(each, alert, bounds)
    told.differences += _in_order(story)
    return told


def _is_left(left: dict[tuple[int, int], Seen], alert: Seen) -> bool:
    return (alert.partition, alert.offset) in left


def _take(left: dict[tuple[int, int], Seen], alert: Seen) -> Seen:
    return left.pop((alert.partition, alert.offset))


def _nearly(due: Due, alert: AlertIssued) -> bool:
    """Whether an alert is meant to be this one, and was changed."""
    same = (alert.agency == due.agency) + (alert.kind == due.kind) + (alert.registry_version == due.registry.version)
    same += alert.happened_at == (due.happened_at or alert.issued_at)
    same += (alert.life, alert.revision) == (due.window.life, due.window.revision)
    return alert.agency == due.agency and same >= 4


def _left_over(story: Story, alert: Seen, known: set[str], versions: Versions) -> Difference:
    """An alert that nothing asked for."""
    data: AlertIssued = alert.data
    if data.alert_id in known:
        return found("alert-duplicate", alert, f"{data.kind} was issued before", **named(alert))
    number = versions.numbered(data.registry_version)
    registry = versions.of(number) if number is not None else None
    agency = registry.agencies.get(data.agency) if registry is not None else None
    statements = [(one.data.window.statement, one.data.window.lab) for one in story.windows]
    if data.kind != "no-longer-addressed" and not (
        agency and any(why_concerned(data.agency, agency, *statement) for statement in statements)
    ):
        said = f"{data.kind} was issued to one whom it does not address"
        return found("wrong-recipient", alert, said, **named(alert))
    return found("alert-unexpected", alert, f"{data.kind} was issued, and nothing asked for it", **named(alert))


def _compared(due: Due, alert: Seen, bounds: Bounds) -> Iterator[Difference]:
    wanted = first_told(due, alert.data.sequence, alert.data.issued_at)
    names = word_by_word(alert, wanted, bounds)
    if alert.data.issued_at < due.cause.at - bounds.apart:
        names.append("issued_at")
    if names:
        yield _edited(alert, names)


def repetition(
    again: Seen, reminder: Seen, first: Seen, story: Story, versions: Versions, bounds: Bounds
) -> Iterator[Difference]:
    """A repetition reads as the window stood when its reminder was read: when that was is not known exactly."""
    number = versions.numbered(again.data.registry_version)
    if number is None:
        yield _edited(again, ["registry_version"])
        return
    registry = versions.of(number)
    agency = registry.agencies.get(again.data.agency)
    best: list[str] | None = None
    for seen in reversed(story.windows):
        if seen.ms > again.ms + bounds.apart_ms:
            continue
        window = seen.data.window
        why = why_concerned(again.data.agency, agency, window.statement, window.lab) if agency else None
        wanted = told_again(first.data, again.data, why or "was-addressed", window, registry, window.statement.tlp)
        names = word_by_word(again, wanted, bounds)
        if best is None or len(names) < len(best):
            best = names
        if seen.at < reminder.at - bounds.apart:
            break  # this one stood then, if no later one did
    if best:
        yield _edited(again, best)


def word_by_word(alert: Seen, wanted: AlertIssued, bounds: Bounds) -> list[str]:
    """The names of what differs in an alert and its envelope."""
    data: AlertIssued = alert.data
    names = edited(
        alert.event,
        wanted,
        id=wanted.alert_id,
        source="/services/notifier",
        subject=wanted.release_id,
        time=data.issued_at,
    )
    if alert.key != wanted.release_id.encode():
        names.append("key")
    if data.issued_at > alert.at + bounds.apart:
        names.append("issued_at")
    return names


def _edited(alert: Seen, names: list[str]) -> Difference:
    return found("record-edited", alert, f"not as its cause implies: {', '.join(names)}", **named(alert))


def _in_order(story: Story) -> Iterator[Difference]:
    """Each agency's alerts are counted from 1, without a gap."""
    last: dict[str, int] = defaultdict(int)
    seen_ids: set[str] = set()
    for alert in story.alerts:
        data: AlertIssued = alert.data
        following = last[data.agency] + 1
        if data.alert_id in seen_ids and data.sequence < following:
            if data.repeats is not None:
                yield found("alert-duplicate", alert, "the repetition was issued before", **named(alert))
        elif data.sequence != following:
            said = f"sequence {data.sequence} comes where {following} is due"
            yield found("sequence-gap", alert, said, **named(alert))
        seen_ids.add(data.alert_id)
        last[data.agency] = max(last[data.agency], data.sequence)
