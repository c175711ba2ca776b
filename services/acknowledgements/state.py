"""What acknowledgements keeps of a release: the alerts of each agency, its answer, and whom silence is chased with."""

from datetime import datetime
from typing import Literal

from schemas.alert import Answer
from schemas.command import State, Timer
from schemas.envelope import Emitted
from schemas.receipt import Kept
from schemas.values import AlertKind, Disposition, Instant, Strict, Traceparent, Uuid
from schemas.window import KEPT_AFTER_END


class Sent(Strict):
    """An alert that was sent. `original`: itself, or the alert that it repeats. `due_at`: of the tier it was for."""

    kind: AlertKind
    life: int
    original: Uuid
    due_at: Instant | None = None


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
    """One agency and one release. Dispositions are of the life at hand."""

    life: int = 0
    sent: dict[str, Sent] = {}  # noqa: RUF012 - pydantic copies defaults
    asking: Uuid | None = None
    received: tuple[Uuid, ...] = ()
    disposition: Disposition | None = None
    chase: Chase | None = None
    answers: tuple[Kept, ...] = ()


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
