"""The recorded latest statement of a lab on a release."""

from typing import ClassVar

from pydantic import Field

from schemas.envelope import Data
from schemas.release import Release
from schemas.values import Instant, ParticipantId, Strict, Uuid


class Announcement(Strict):
    """The latest statement, with the revision number that Herald assigned."""

    release_id: Uuid
    lab: ParticipantId
    life: int = Field(ge=1, description="counted up when a release is announced again after its window ended")
    revision: int = Field(ge=1)
    recorded_at: Instant
    statement: Release


class _AnnouncementEvent(Data):
    announcement: Announcement

    def topics(self) -> tuple[str, ...]:
        return ("announcements",)

    def subject(self) -> str:
        return self.announcement.release_id


class AnnouncementRecorded(_AnnouncementEvent):
    """A release was announced for the first time, or announced again after a withdrawal."""

    type: ClassVar[str] = "herald.announcement.recorded.v1"


class AnnouncementRevised(_AnnouncementEvent):
    """The lab changed its statement. Only a material change reaches the agencies."""

    type: ClassVar[str] = "herald.announcement.revised.v1"

    changed: tuple[str, ...] = Field(description="names of the top-level fields of the release that changed")
    material: bool


class AnnouncementWithdrawn(_AnnouncementEvent):
    """The lab withdrew the release; `announcement` holds the last statement, with the next revision number."""

    type: ClassVar[str] = "herald.announcement.withdrawn.v1"
