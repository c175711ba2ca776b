"""Holds what endpoints were asked to deliver against what they should have been: which ones, when, and told what."""

from collections.abc import Iterator

from schemas.alert import AlertIssued
from schemas.delivery import DeliveryRequested, delivery_id
from schemas.registry import Agency
from services.audit.aftermath import Aftermath
from services.audit.alerts import Told
from services.audit.asked import NOTIFIER, Asked, about
from services.audit.channels import is_told_content, may_wait, speaks_of, turns
from services.audit.difference import Difference, found
from services.audit.due import Due
from services.audit.record import Bounds, Seen, Topics
from services.audit.story import Story, Versions


def push(
    story: Story, told: Told, versions: Versions, bounds: Bounds, paused: set[tuple[str, str]]
) -> Iterator[Difference]:
    """Everything about the deliveries of one release. `paused`: endpoints that an operator has paused at some time."""
    dues = {alert.data.alert_id: due for due, alert in told.matched}
    known = {}
    for alert in reversed(story.alerts):
        due = dues.get(alert.data.alert_id)
        waits = may_wait(alert.data, due.before if due else None, due.window if due else None)
        known[alert.data.alert_id] = Asked(alert, waits)
    for request in story.requests:
        asked = known.get(request.data.alert.alert_id)
        if asked is None:
            yield about(request, "delivery-unexpected", "the alert that it carries is not on alerts")
            continue
        yield from _is_well_made(request, asked, dues.get(asked.data.alert_id), versions)
        if request.event.source == NOTIFIER:
            asked.requests.append(request)
    aftermath = Aftermath(story, known, versions, bounds)
    for asked in known.values():
        if asked.seen.ms <= bounds.settled_ms:
            yield from _whom_it_was_for(asked, versions, aftermath)
    yield from aftermath.outcomes(paused)
    yield from aftermath.nothing_is_out_of_date()


def paused(topics: Topics) -> set[tuple[str, str]]:
    """The endpoints that an operator has paused at some time."""
    log = topics.logs["deliveries"]
    return {(one.data.agency, one.data.endpoint) for one in log if one.event.type == "herald.endpoint.paused.v1"}


def _is_well_made(request: Seen, asked: Asked, due: Due | None, versions: Versions) -> Iterator[Difference]:
    """It carries the alert, and no more than this endpoint may be told."""
    data: DeliveryRequested = request.data
    agencies = _declaring(data, asked.data.registry_version, versions)
    if not agencies:
        yield about(request, "wrong-channel", "the registry has no such endpoint")
        return
    names = _differing(data.alert, asked.data)
    if data.alert.content is not None and not any(is_told_content(a, data.endpoint, asked.data) for a in agencies):
        names.append("content")
    if request.event.source == NOTIFIER and data.requested_at == asked.data.issued_at and due is not None:
        own = due.registry.agencies.get(data.agency)
        first = turns(own, asked.data, waits=asked.waits)[:1] if own is not None else []
        if own is not None and any(data.endpoint in endpoints for _, endpoints in first):  # a later turn is told anew
            wanted = asked.data.content if is_told_content(own, data.endpoint, asked.data) else None
            names += ["content"] if data.alert.content != wanted else []
        names += ["routine"] if data.routine != asked.waits else []
        names += ["speaks_of"] if data.speaks_of != (speaks_of(due.window) if asked.waits else None) else []
    names += ["delivery_id"] if data.delivery_id != delivery_id(asked.data.alert_id, data.agency, data.endpoint) else []
    names += ["agency"] if data.agency != asked.data.agency else []
    names += ["key"] if request.key != f"{data.agency}/{data.endpoint}".encode() else []
    if names:
        said = f"not as its alert implies: {', '.join(dict.fromkeys(names))}"
        yield about(request, "record-edited", said)


def _declaring(data: DeliveryRequested, version: int, versions: Versions) -> list[Agency]:
    """What the registry has said of an endpoint since an alert's own version."""
    since = max(versions.numbered(version) or 0, 0)
    found = [versions.of(number).agencies.get(data.agency) for number in range(since, len(versions))]
    return [each for each in found if each is not None and data.endpoint in each.endpoints]


def _differing(given: AlertIssued, wanted: AlertIssued) -> list[str]:
    """The fields of an alert that differ, but for its content."""
    names = type(wanted).model_fields.keys() - {"content"}
    return sorted(name for name in names if getattr(given, name) != getattr(wanted, name))


def _whom_it_was_for(asked: Asked, versions: Versions, aftermath: Aftermath) -> Iterator[Difference]:
    """The endpoints of the first tier are asked with the alert, and no others then."""
    number = versions.numbered(asked.data.registry_version)
    agency = versions.of(number).agencies.get(asked.data.agency) if number is not None else None
    planned = turns(agency, asked.data, waits=asked.waits) if agency is not None else []
    # A tier whose endpoints are given up at once is followed by the next at the same instant.
    following = {tier for tier, _ in planned[1:]}
    at_once = [one for one in asked.requests if one.data.requested_at == asked.data.issued_at]
    first = {one.data.endpoint: one for one in at_once if one.data.tier not in following}
    wanted = planned[0][1] if planned else frozenset()
    for endpoint in sorted(wanted - first.keys()):
        said = f"{asked.data.kind} was to be delivered here"
        yield found("delivery-missing", asked.seen, said, endpoint=endpoint, **asked.named)
    for endpoint, request in sorted(first.items()):
        if endpoint not in wanted:
            yield about(request, "wrong-channel", f"{asked.data.kind} was not for this endpoint")
    yield from aftermath.in_turn(asked, planned, [one for one in asked.requests if one not in first.values()])
