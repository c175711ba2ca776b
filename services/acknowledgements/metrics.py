"""What acknowledgements counts: answers, due times that passed without one, and who is being waited for."""

from collections.abc import Iterable

from schemas.acknowledgement import AcknowledgementOverdue, AcknowledgementRecorded
from services.acknowledgements.state import AcknowledgementState, Standing
from services.kernel import catalogue
from services.kernel.catalogue import boolean
from services.kernel.gauges import Part
from services.kernel.service import Committed


def counts(committed: Committed) -> None:
    """The answers of one transaction, and the silence."""
    for event in committed.events:
        match event.data:
            case AcknowledgementRecorded() as given:
                exercise = boolean(given.exercise)
                catalogue.ACKNOWLEDGEMENTS.labels(given.disposition, boolean(given.late), exercise).inc()
            case AcknowledgementOverdue() as silence:
                step = "closed" if silence.closed else "exhausted" if silence.exhausted else "tier"
                catalogue.OVERDUE.labels(silence.agency, step, boolean(silence.exercise)).inc()
            case _:
                pass


def parts(state: AcknowledgementState) -> Iterable[Part]:
    """The alerts of a release that wait for an answer."""
    for agency, standing in state.agencies.items():
        if (step := _step(state, standing)) is not None:
            yield Part(catalogue.ANSWERS_AWAITED, (agency, step, boolean(state.exercise)))


def _step(state: AcknowledgementState, standing: Standing) -> str | None:
    """How far the chase has come; None: nothing is awaited."""
    chase = standing.chase
    if chase is not None:
        return "escalated" if chase.tier else "reminded" if chase.reminded else "asked"
    asked = standing.sent.get(standing.asking) if standing.asking is not None else None
    chased = asked is not None and asked.due_at is not None and standing.life == state.life
    if not chased or standing.asking in standing.received or standing.disposition == "declined":
        return None
    return "exhausted" if state.ended is None or (asked and asked.kind == "withdrawn") else None
