"""What the notifier keeps of a release: the window as it stands, what each agency was told, and where it is open."""

from schemas.alert import AlertIssued, Answer
from schemas.command import State, Timer
from schemas.endpoint import EndpointId
from schemas.envelope import Emitted
from schemas.values import AlertKind, Instant, Strict, Tier, Tlp, Traceparent, Uuid
from schemas.window import KEPT_AFTER_END, Window

FALLS_BACK = "falls-back"
"""The timer that tells an agency's next tier."""


class Asked(Strict):
    """The latest alert that asks something of an agency. `ids` are its own and those of its repetitions."""

    ids: tuple[Uuid, ...]
    kind: AlertKind
    life: int
    happened_at: Instant
    answer_by: tuple[Answer, ...]
    answered: bool = False


class Waiting(Strict):
    """An alert that no endpoint has taken yet. At `until` the tier after `tier` is asked.

    `alert` is without content; `asked`: every endpoint that was asked to deliver it; `left`: those of `tier` that may
    still do so.
    """

    alert: AlertIssued
    tier: Tier
    asked: tuple[EndpointId, ...]
    left: tuple[EndpointId, ...]
    until: Instant


class Push(Strict):
    """What is open at an agency's endpoints. `pending`: the sequence that each was asked for last, and may not have.

    It outlives a life of the release, as deliveries do.
    """

    pending: dict[EndpointId, int] = {}  # noqa: RUF012 - pydantic copies defaults
    waiting: Waiting | None = None


class Told(Strict):
    """One agency. `addressed`: by the latest statement and registry; `told`: anything at all in this life.

    `push` None: nothing is open at endpoints, or there are none.
    """

    sequence: int = 0
    addressed: bool = False
    told: bool = False
    tlp: Tlp = "TLP:AMBER+STRICT"
    asked: Asked | None = None
    push: Push | None = None


_NOTHING = Told()


class NotifierState(State):
    """One release. `window` None: it ended long ago.

    `traceparent`: of the window's latest event, which what comes by time or with a registry version continues.
    """

    life: int = 0
    window: Window | None = None
    agencies: dict[str, Told] = {}  # noqa: RUF012 - pydantic copies defaults
    traceparent: Traceparent | None = None

    def continues(self, emitted: Emitted, sent: str | None) -> str | None:
        return sent or self.traceparent

    def told(self, agency: str) -> Told:
        """What is known of an agency; of a new one, nothing."""
        return self.agencies.get(agency, _NOTHING)

    def next_timer(self) -> Timer | None:
        timers = [
            Timer(waiting.until, FALLS_BACK, f"{agency}/{waiting.alert.sequence}/{waiting.tier}")
            for agency, told in self.agencies.items()
            if told.push is not None and (waiting := told.push.waiting) is not None
        ]
        if self.window is not None and self.window.ended_at is not None:
            timers.append(Timer(self.window.ended_at + KEPT_AFTER_END, "shrinks", str(self.life)))
        return min(timers, key=lambda timer: (timer.due_at, timer.about), default=None)
