"""What agencies have answered: each answer has a receipt, what was accepted is recorded, and nothing else is."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from schemas.acknowledgement import AcknowledgementRecorded
from schemas.envelope import derived_id
from services.audit.difference import Difference, found, named
from services.audit.record import Topics
from services.audit.story import Story


@dataclass(frozen=True, slots=True)
class Given:
    """A recorded answer. `at`: when the agency's word was taken; what is due later is chased no more."""

    at: datetime
    recorded_at: datetime
    answer: AcknowledgementRecorded


def recorded(story: Story) -> dict[str, list[Given]]:
    """What was recorded of a release, by agency."""
    said = {derived_id(derived_id("acks", one.event.id), AcknowledgementRecorded.type, "0"): one for one in story.acks}
    return {
        agency: [Given(said.get(one.event.id, one).at, one.at, one.data) for one in log]
        for agency, log in story.answered.items()
    }


def answers(story: Story, topics: Topics) -> Iterator[Difference]:
    """Each answer gets a receipt; what is accepted is recorded; nothing is recorded that nobody said."""
    receipts = {one.event.id: one for one in story.receipts}
    kept = {one.event.id: one for one in story.acknowledgements if isinstance(one.data, AcknowledgementRecorded)}
    for ack in story.acks:
        cause = derived_id("acks", ack.event.id)
        about = {"release_id": story.release_id, "agency": ack.event.origin, "alert_id": ack.data.alert_id}
        receipt = receipts.get(derived_id(cause, "receipt"))
        record = kept.pop(derived_id(cause, AcknowledgementRecorded.type, "0"), None)
        if ack.event.repeat:  # it was answered and recorded when it first came
            continue
        since = topics.cut.get(f"receipts.{ack.event.origin}")  # a participant's own topic is kept for less long
        if receipt is None and (since is None or ack.at > since):
            yield found("receipt-missing", ack, "the answer has no receipt", **about)
        elif receipt is not None and receipt.event.type == "herald.receipt.accepted.v1" and record is None:
            yield found("answer-missing", ack, "it was accepted, and is not recorded", **about)
        if record is not None:
            names = [
                name
                for name in ("alert_id", "release_id", "disposition", "by")
                if getattr(record.data, name) != getattr(ack.data, name)
            ]
            names += ["agency"] if record.data.agency != ack.event.origin else []
            if names:
                yield found("record-edited", record, f"not as the agency said: {', '.join(names)}", **about)
    for record in kept.values():
        yield found("answer-unexpected", record, "no agency said so", **named(record))
