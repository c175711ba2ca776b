"""One alert, and all that endpoints were asked to deliver of it."""

from dataclasses import dataclass, field

from schemas.alert import AlertIssued
from schemas.delivery import DeliveryRequested
from services.audit.difference import Difference, Kind, found, named
from services.audit.record import Seen

NOTIFIER = "/services/notifier"
"""What people ask for (a drill, a retry) has another source."""


@dataclass(slots=True)
class Asked:
    """`waits`: quiet hours may hold it. `requests`: the notifier's."""

    seen: Seen
    waits: bool
    requests: list[Seen] = field(default_factory=list)

    @property
    def data(self) -> AlertIssued:
        """The alert."""
        alert: AlertIssued = self.seen.data
        return alert

    @property
    def root(self) -> str:
        """The alert that this one repeats, or itself."""
        return self.data.repeats or self.data.alert_id

    @property
    def named(self) -> dict[str, str | None]:
        """What it is about."""
        return named(self.seen)


def about(seen: Seen, kind: Kind, what: str) -> Difference:
    """A difference about a request or an outcome."""
    data = seen.data
    alert = data.alert if isinstance(data, DeliveryRequested) else data
    named = {"agency": data.agency, "endpoint": data.endpoint}
    return found(kind, seen, what, release_id=alert.release_id, alert_id=alert.alert_id, **named)
