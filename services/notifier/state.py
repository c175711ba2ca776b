"""What the notifier keeps of a release: the window as it stands, and what each agency was told."""

from schemas.alert import Answer
from schemas.command import State, Timer
from schemas.values import AlertKind, Instant, Strict, Tlp, Uuid
from schemas.window import KEPT_AFTER_END, Window


class Asked(Strict):
    """The latest alert that asks something of an agency. `ids` are its own and those of its repetitions."""

    ids: tuple[Uuid, ...]
    kind: AlertKind
    life: int
    happened_at: Instant
    answer_by: tuple[Answer, ...]
    answered: bool = False


class Told(Strict):
    """One agency. `addressed`: by the latest statement and registry; `told`: anything at all in this life."""

    sequence: int = 0
    addressed: bool = False
    told: bool = False
    tlp: Tlp = "TLP:AMBER+STRICT"
    asked: Asked | None = None


class NotifierState(State):
    """One release. `window` None: it ended long ago."""

    life: int = 0
    window: Window | None = None
    agencies: dict[str, Told] = {}  # noqa: RUF012 - pydantic copies defaults

    def told(self, agency: str) -> Told:
        """What is known of an agency; of a new one, nothing."""
        return self.agencies.get(agency, Told())

    def next_timer(self) -> Timer | None:
        if self.window is None or self.window.ended_at is None:
            return None
        return Timer(self.window.ended_at + KEPT_AFTER_END, "shrinks", str(self.life))
