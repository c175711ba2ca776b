"""What an audit finds: one difference between what should stand in the topics and what does. No content in it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from schemas.values import rfc3339
from services.audit.record import Seen

Kind = Literal[
    "unreadable-record",  # it is not what its topic holds
    "record-edited",  # content or id is not what its cause implies
    "window-missing",  # a statement that should have moved the window did not
    "window-unexpected",  # a window's event that follows from no statement and no timer
    "transition-missing",  # an opening or closing that is due did not happen
    "alert-missing",
    "alert-unexpected",
    "alert-duplicate",
    "wrong-recipient",  # told, and not addressed
    "sequence-gap",
    "edge-copy-missing",  # on `alerts`, and not on the agency's own topic
    "edge-copy-differs",
    "edge-copy-unexpected",
    "disclosure-missing",
    "disclosure-unexpected",
    "delivery-missing",
    "delivery-unexpected",
    "wrong-channel",  # asked of an endpoint that it was not for
    "fallback-missing",  # nobody of a tier took it, and the next one was not asked
    "cancel-missing",  # what is answered or superseded may still be delivered
    "outcome-missing",
    "outcome-unexpected",
    "reminder-missing",
    "reminder-unexpected",
    "escalation-missing",
    "overdue-missing",
    "repeat-missing",  # a reminder or escalation was due, and no alert followed
    "answer-missing",
    "answer-unexpected",
    "receipt-missing",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `at`: of what it is about; `where`: the record, or that from which something should follow."""

    kind: Kind
    at: datetime
    what: str
    where: str
    release_id: str | None = None
    agency: str | None = None
    endpoint: str | None = None
    alert_id: str | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """As one JSON object."""
        names = ("kind", "release_id", "agency", "endpoint", "alert_id", "what", "where")
        found = {name: getattr(self, name) for name in names}
        return {"at": rfc3339(self.at)} | {name: value for name, value in found.items() if value is not None}

    @property
    def line(self) -> str:
        """For people."""
        about = [f"release {self.release_id}" if self.release_id else ""]
        about += ["/".join(part for part in (self.agency, self.endpoint) if part)]
        about += [f"alert {self.alert_id}" if self.alert_id else ""]
        return "  ".join([rfc3339(self.at), self.kind, *(part for part in about if part), self.what, f"({self.where})"])


def found(kind: Kind, about: Seen, what: str, **named: str | None) -> Difference:
    """A difference about a record."""
    return Difference(kind, about.at, what, about.where, **named)


def named(seen: Seen) -> dict[str, str | None]:
    """Whom and what a record of one agency's is about."""
    return {name: getattr(seen.data, name) for name in ("release_id", "agency", "alert_id")}
