"""What acknowledgements keeps of a release: the alerts of each agency, its answer, and whom silence is chased with."""

from datetime import datetime
from typing import Literal

from schemas.alert import Answer
from schemas.command import State, Timer
from schemas.envelope import Emitted
from schemas.receipt import Kept
from schemas.values import AlertKind, Disposition, Instant, Strict, Traceparent, Uuid
from schemas.window import KEPT_AFTER_END
from services.acknowledgements.earlier import Run, Sent, appended, recalled

WHOLE = 8
"""So many alerts of an agency are kept whole, and those that ask now: all agencies share one record of state."""


class Chase(Strict):
    """An unanswered alert and how far the chase has come: the tier at hand, reminded or not.

    `traceparent`: the alert's, which what follows from silence continues, and nothing of other agencies' answers.
    """

    alert_id: Uuid
    kind: AlertKind
    life: int
    answer_by: tuple[Answer, ...]
    tier: int = 0
    reminded: bool = False
    traceparent: Traceparent | None = None

    @property
    def due_at(self) -> datetime:
        """When the next step is due."""
        answer = self.answer_by[self.tier]
        return answer.passed_at if self.reminded else answer.due_at


class Standing(Strict):
    """One agency and one release. Dispositions, and what was `received`, are of the life at hand.

    `sent`: the latest alerts and those that ask, by id; `earlier`: those before.
    """

    life: int = 0
    sent: dict[str, Sent] = {}  # noqa: RUF012 - pydantic copies defaults
    earlier: tuple[Run, ...] = ()
    asking: Uuid | None = None
    received: tuple[Uuid, ...] = ()
    disposition: Disposition | None = None
    chase: Chase | None = None
    answers: tuple[Kept, ...] = ()

    def find(self, release_id: str, agency: str, alert_id: str) -> Sent | None:
        """The alert of this id; None: it was never sent to this agency."""
        return self.sent.get(alert_id) or recalled(self.earlier, release_id, agency, alert_id)

    def is_received(self, sent: Sent) -> bool:
        """Whether `received` stands for this alert."""
        if sent.original in self.received:
            return True
        return any(run.is_answered(sent.sequence) for run in self.earlier)

    def with_received(self, sent: Sent) -> "Standing":
        """`received` stands for this alert."""
        if self.is_received(sent):
            return self
        if any(one.original == sent.original for one in self.sent.values()):
            return self.model_copy(update={"received": (*self.received, sent.original)})
        return self.model_copy(update={"earlier": tuple(run.with_answered(sent.sequence) for run in self.earlier)})

    def in_life(self, life: int) -> "Standing":
        """What is known still when a new life begins: old answers do not count in it."""
        earlier = tuple(run.model_copy(update={"answered": "0"}) for run in self.earlier)
        return Standing(life=life, sent=self.sent, earlier=earlier, answers=self.answers)

    def folded(self) -> "Standing":
        """No more alerts whole than are needed."""
        earlier, whole = self.earlier, dict(self.sent)
        for name, one in self.sent.items():
            if len(whole) <= WHOLE:
                break
            if one.sequence is not None and one.original != self.asking:
                earlier = appended(earlier, one, one.sequence, one.original in self.received)
                del whole[name]
        if len(whole) == len(self.sent):
            return self
        named = {one.original for one in whole.values()}
        received = tuple(one for one in self.received if one in named)
        return self.model_copy(update={"sent": whole, "earlier": earlier, "received": received})


class AcknowledgementState(State):
    """One release. `ended_at`: when the window of this life closed or was withdrawn."""

    release_id: str = ""
    life: int = 0
    ended: Literal["closed", "withdrawn"] | None = None
    ended_at: Instant | None = None
    exercise: bool = False
    shrunk: bool = False
    agencies: dict[str, Standing] = {}  # noqa: RUF012 - pydantic copies defaults

    def standing(self, agency: str) -> Standing:
        """What is known of an agency; of a new one, nothing."""
        return self.agencies.get(agency, Standing())

    def continues(self, emitted: Emitted, sent: str | None) -> str | None:
        chase = self.standing(str(getattr(emitted, "agency", ""))).chase
        return sent or (chase.traceparent if chase is not None else None)

    def next_chase(self) -> tuple[str, Chase] | None:
        """The chase whose next step is due first; at one instant, in the order of the agencies' ids."""
        chases = [(name, one.chase) for name, one in sorted(self.agencies.items()) if one.chase is not None]
        return min(chases, key=lambda pair: pair[1].due_at, default=None)

    def next_timer(self) -> Timer | None:
        due = self.next_chase()
        shrinks = self.ended_at + KEPT_AFTER_END if self.ended_at is not None and not self.shrunk else None
        if due is not None and (shrinks is None or due[1].due_at <= shrinks):
            agency, chase = due
            about = f"{agency}/{chase.alert_id}/{chase.tier}/{chase.reminded}"
            return Timer(chase.due_at, "chase", about)
        return Timer(shrinks, "shrinks", str(self.life)) if shrinks is not None else None
