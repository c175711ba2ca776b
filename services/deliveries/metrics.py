"""What deliveries counts: what came of them, what is pending, and how the endpoints are."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from schemas.delivery import DeliveryAbandoned, DeliverySucceeded
from schemas.endpoint import Webhook
from schemas.registry import Registry
from services.deliveries.state import EndpointState
from services.kernel import catalogue
from services.kernel.catalogue import boolean
from services.kernel.expiry import show_files
from services.kernel.gauges import Part
from services.kernel.service import Committed


def counts(committed: Committed) -> None:
    """The deliveries that have ended in one transaction."""
    for event in committed.events:
        match event.data:
            case DeliverySucceeded() as taken:
                where = (taken.channel or "none", boolean(taken.exercise))
                catalogue.DELIVERIES.labels(where[0], "taken", where[1]).inc()
                latency = max(0.0, (taken.at - taken.requested_at).total_seconds())
                catalogue.DELIVERY_LATENCY_SECONDS.labels(*where).observe(latency)
            case DeliveryAbandoned() as ended:
                catalogue.DELIVERIES.labels(ended.channel or "none", ended.reason, boolean(ended.exercise)).inc()
            case _:
                pass


def certificates(registry: Registry) -> None:
    """When the client certificates end that an agency's webhooks are shown."""
    for name, agency in registry.agencies.items():
        shown = [e.client_certificate for e in agency.endpoints.values() if isinstance(e, Webhook)]
        show_files([Path(one.certificate) for one in shown if one is not None], "endpoint", name)
    for name in registry.offboarded:
        show_files([], "endpoint", name)


def parts(state: EndpointState) -> Iterable[Part]:
    """One endpoint, and the alerts that it has not taken."""
    how = "disabled" if state.disabled_at is not None else "failing" if state.probe_at is not None else "working"
    yield Part(catalogue.ENDPOINTS, (state.agency, how))
    told: dict[tuple[bool, bool], int] = {}
    oldest: datetime | None = None
    for one in state.pending.values():
        if one.alert is None:
            continue
        about = is_held, exercise = one.held and not one.attempts, one.alert.exercise
        told[about] = told.get(about, 0) + 1
        if not is_held and not exercise and (oldest is None or one.requested_at < oldest):
            oldest = one.requested_at
    for (is_held, exercise), number in told.items():
        labels = state.agency, "held" if is_held else "due", boolean(exercise)
        yield Part(catalogue.DELIVERIES_PENDING, labels, number=number)
    if oldest is not None:
        yield Part(catalogue.DELIVERIES_PENDING_OLDEST, (state.agency,), oldest)
