"""The lives of one window without a kernel: two deciders, virtual time, and what they said.

`Life().announce().until(20).withdraw()` reads as given – when. What follows is in `receipts`, `announcements` and
`windows`. Every event and every state goes through JSON, as it does between two services and at a restart.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from schemas.announcement import Announcement, AnnouncementRecorded, AnnouncementRevised, AnnouncementWithdrawn
from schemas.command import Received, TimerDue
from schemas.envelope import Data, Emitted, derived_id, encode, reader
from schemas.notice import Refused, Warned
from schemas.plan import Course, advanced
from schemas.receipt import Answered, Receipt, ReceiptAccepted, ReceiptRefused, ReceiptUnchanged
from schemas.registry import Registry
from schemas.release import ReleaseAnnounced, ReleaseWithdrawn
from schemas.values import Instant, Strict
from schemas.window import EndReason, Window
from services.announcements import decide as announcements
from services.announcements.state import AnnouncementState
from services.windows import decide as windows
from services.windows.state import WindowState
from tests.simulation.world import START, day, registry, release

RELEASES = reader(ReleaseAnnounced, ReleaseWithdrawn)
ANNOUNCEMENTS = reader(AnnouncementRecorded, AnnouncementRevised, AnnouncementWithdrawn)
S = TypeVar("S", bound=Strict)


class Heard(Strict):
    """What one event of `windows` said."""

    kind: str
    window: Window
    due_at: Instant | None
    happened_at: Instant
    changed: tuple[str, ...]


@dataclass(slots=True)
class Life:
    """One release from the lab's events to its windows. Days are counted from `START`."""

    now: datetime = START
    registry: Registry = field(default_factory=registry)
    announced: AnnouncementState | None = None
    windowed: WindowState | None = None
    told: int = 0
    receipts: list[Answered] = field(default_factory=list)
    announcements: list[Data] = field(default_factory=list)
    windows: list[Heard] = field(default_factory=list)

    # ---- what happens

    def announce(self, *, event_id: str | None = None, repeat: bool = False, **changes: Any) -> "Life":
        """The lab states m-1: unless changed, it opens on day 16 and closes with the release on day 30."""
        return self._tell("announced", release(**changes), event_id, repeat)

    def withdraw(self, *, event_id: str | None = None, repeat: bool = False, **more: Any) -> "Life":
        """The lab withdraws m-1."""
        return self._tell("withdrawn", {"reference": "m-1"} | more, event_id, repeat)

    def apply(self, version: Registry) -> "Life":
        """What comes later is decided with this registry."""
        self.registry = version
        return self

    def until(self, instant: float | datetime) -> "Life":
        """Time passes; each timer fires at its instant."""
        target = instant if isinstance(instant, datetime) else day(instant)
        while (timer := self._next()) is not None and timer <= target:
            self.now = max(self.now, timer)
            self._fire()
        self.now = max(self.now, target)
        return self

    def down_until(self, instant: float | datetime) -> "Life":
        """Time passes with windows down; once it is up again, all that was missed is fired at that instant."""
        self.now = max(self.now, instant if isinstance(instant, datetime) else day(instant))
        while (timer := self._next()) is not None and timer <= self.now:
            self._fire()
        return self

    # ---- what it led to

    @property
    def receipt(self) -> Receipt:
        """The last receipt."""
        return self.receipts[-1].receipt

    @property
    def outcome(self) -> str:
        """`accepted`, `unchanged` or `refused`."""
        return _word(self.receipt)

    @property
    def notices(self) -> tuple[Warned | Refused, ...]:
        """Warnings or reasons of the last receipt."""
        receipt = self.receipt
        if isinstance(receipt, ReceiptRefused):
            return receipt.reasons
        assert isinstance(receipt, ReceiptAccepted | ReceiptUnchanged)
        return receipt.warnings

    @property
    def codes(self) -> list[str]:
        """Codes of the last receipt's warnings or reasons."""
        return [notice.code for notice in self.notices]

    @property
    def recorded(self) -> list[str]:
        """`recorded`, `revised`, `withdrawn`: each announcement event in order."""
        return [_word(event) for event in self.announcements]

    @property
    def announcement(self) -> Announcement:
        """The announcement that stands."""
        assert self.announced is not None
        assert self.announced.announcement is not None
        return self.announced.announcement

    @property
    def heard(self) -> list[str]:
        """Each window event in order."""
        return [event.kind for event in self.windows]

    @property
    def window(self) -> Window:
        """The window as the last event carried it."""
        return self.windows[-1].window

    @property
    def course(self) -> Course | None:
        """The window's course as announcements sees it at this instant."""
        if self.announced is None or self.announced.course is None:
            return None
        return advanced(self.announced.course, self.now)

    def ended(self) -> EndReason | None:
        """Why the window ended, as windows keeps it."""
        return self.windowed.reason if self.windowed else None

    # ---- how it runs

    def _tell(self, kind: str, data: dict[str, Any], event_id: str | None, repeat: bool) -> "Life":
        self.until(self.now)
        self.told += 1
        sender = event_id or f"e{self.told}"
        raw = json.dumps(
            {
                "specversion": "1.0",
                "id": derived_id("event", sender),
                "source": "/labs/lab",
                "type": f"herald.release.{kind}.v1",
                "subject": self.registry.release_id("lab", "m-1"),
                "senderid": sender,
                "data": data,
            }
            | ({"repeat": True} if repeat else {})
        )
        cause = derived_id("releases.lab", sender, json.dumps(data))
        command = Received("releases", RELEASES.validate_json(raw), cause, self.registry)
        emitted = announcements.decide(self.announced, command, self.now)
        for ordinal, one in enumerate(emitted):
            self.announced = _restored(announcements.evolve(self.announced, one))
            if isinstance(one, Answered):
                self.receipts.append(one)
            elif one.topics() == ("announcements",):
                self._follow(one, derived_id(cause, str(ordinal)))
        return self

    def _follow(self, one: Emitted, cause: str) -> None:
        stamped = one.stamped(cause=cause, ordinal=0, source="/services/announcements", time=self.now)
        event = ANNOUNCEMENTS.validate_json(encode(stamped), extra="ignore")
        self.announcements.append(event.data)
        self._take(windows.decide(self.windowed, Received("announcements", event, event.id, self.registry), self.now))

    def _next(self) -> datetime | None:
        timer = self.windowed.next_timer() if self.windowed else None
        return timer.due_at if timer else None

    def _fire(self) -> None:
        assert self.windowed is not None
        timer = self.windowed.next_timer()
        assert timer is not None
        command = TimerDue(timer.name, timer.due_at, timer.cause("m-1"), self.registry)
        self._take(windows.decide(self.windowed, command, self.now))
        assert self.windowed.next_timer() != timer, f"the timer {timer.name} would fire for ever"

    def _take(self, emitted: list[Emitted]) -> None:
        written = [one for one in emitted if one.topics()]
        assert len(written) <= 1, "windows writes at most one event a command"
        for one in emitted:
            after = windows.evolve(self.windowed, one)
            self.windowed = _restored(after) if after else None
        for one in written:
            assert isinstance(one, Data)
            said = one.model_dump(include={"window", "due_at", "happened_at", "changed"})
            self.windows.append(Heard.model_validate(said | {"kind": _word(one)}))


def _word(event: Data) -> str:
    return event.type.split(".")[2]


def _restored(state: S) -> S:
    """The state as a restart finds it."""
    again = type(state).model_validate_json(state.model_dump_json())
    assert again == state, "a state must survive its own JSON"
    return again
