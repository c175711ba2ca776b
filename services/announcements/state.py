"""What announcements keeps of a release: the latest statement and the window that follows from it."""

from schemas.announcement import Announcement
from schemas.command import State
from schemas.plan import Course
from schemas.receipt import Kept
from schemas.values import Instant


class AnnouncementState(State):
    """One release. `announcement` None: only refused events so far."""

    announcement: Announcement | None = None
    withdrawn: bool = False
    stated_at: Instant | None = None
    course: Course | None = None
    answers: tuple[Kept, ...] = ()
