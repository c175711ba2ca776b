"""What the notifier counts: alerts, how long they took, how far apart agencies were told, and what nobody has taken."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import cache, partial

from prometheus_client import Histogram

from schemas.alert import AlertIssued
from schemas.values import AlertKind
from services.kernel import catalogue
from services.kernel.catalogue import boolean
from services.kernel.first_look import FIRST_LOOK
from services.kernel.gauges import Part
from services.kernel.service import Committed, exemplar
from services.notifier.state import NotifierState


def counts(committed: Committed) -> None:
    """The alerts of one transaction."""
    kinds: Counter[tuple[AlertKind, bool]] = Counter()
    told: dict[tuple[str, bool], list[datetime]] = defaultdict(list)
    for event in committed.events:
        alert = event.data
        if not isinstance(alert, AlertIssued):
            continue
        kinds[alert.kind, alert.exercise] += 1
        told[event.cause, alert.exercise].append(committed.taken[f"alerts.{alert.agency}"])
        if event.origin is not None:
            took = (committed.at - event.origin.at).total_seconds()
            latency = _latency(event.origin.cause, alert.exercise)
            FIRST_LOOK.then(partial(latency.observe, max(0.0, took), exemplar(event.trace_id)))
    for (kind, is_drill), number in kinds.items():
        catalogue.ALERTS.labels(kind, boolean(is_drill)).inc(number)
    for (_, is_drill), times in told.items():
        if len(times) > 1:
            skew = catalogue.ALERT_SKEW_SECONDS.labels(boolean(is_drill))
            FIRST_LOOK.then(partial(skew.observe, (max(times) - min(times)).total_seconds()))


@cache
def _latency(cause: str, is_drill: bool) -> Histogram:
    return catalogue.ALERT_LATENCY_SECONDS.labels(cause, boolean(is_drill))


def parts(state: NotifierState) -> Iterable[Part]:
    """Alerts of a release that no endpoint has taken."""
    for agency, told in state.agencies.items():
        if told.push is not None and (waiting := told.push.waiting) is not None:
            yield Part(catalogue.ALERTS_UNTAKEN, (agency, boolean(waiting.alert.exercise)))
            if not waiting.alert.exercise:
                yield Part(catalogue.ALERTS_UNTAKEN_OLDEST, (agency,), waiting.alert.issued_at)
