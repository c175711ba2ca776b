"""A release as a lab states it, and the two events that a lab sends."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from schemas.envelope import Data
from schemas.values import (
    Capability,
    Digest,
    HttpsUrl,
    Instant,
    Line,
    Opening,
    ParticipantId,
    Prose,
    Reference,
    Strict,
    Tlp,
)


class Model(Strict):
    """What is to be released."""

    name: Line
    version: Line | None = None
    summary: Prose | None = None
    card_url: HttpsUrl | None = None
    artifact_digest: Digest | None = Field(default=None, description="binds the statement to what was built")


class Access(Strict):
    """How an agency gets at the model, in the lab's words. Secrets have no place here: they are refused."""

    how: Prose | None = None
    contact: Line | None = None


class EarlyAccess(Strict):
    """The lab's offer. `opens` is an instant, or a duration before `trusted_partner_release_at`."""

    opens: Opening
    closes_at: Instant | None = Field(default=None, description="absent: the release")
    access: Access | None = None


class Audience(Strict):
    """Who may learn of the release: there is no default.

    `matching`: every agency whose interests fit, minus `exclude`. `listed`: `agencies` minus `exclude`, whatever
    their interests.
    """

    mode: Literal["matching", "listed"]
    agencies: Annotated[tuple[ParticipantId, ...], Field(max_length=1000)] = ()
    exclude: Annotated[tuple[ParticipantId, ...], Field(max_length=1000)] = ()

    @model_validator(mode="after")
    def _agencies_go_with_listed(self) -> "Audience":
        if self.mode == "listed" and not self.agencies:
            raise ValueError("mode listed needs agencies: at least one id")
        if self.mode == "matching" and self.agencies:
            raise ValueError("agencies goes with mode listed; with mode matching use exclude, or leave it out")
        return self


class Release(Strict):
    """One planned model release, stated whole each time (an upsert by `reference`)."""

    reference: Reference
    model: Model
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=100)] = ()
    trusted_partner_release_at: Instant
    public_release_at: Instant | None = None
    early_access: EarlyAccess | None = Field(default=None, description="absent: none offered")
    audience: Audience
    tlp: Tlp = "TLP:AMBER+STRICT"
    embargo_until: Instant | None = Field(default=None, description="shown to readers; it delays nothing")
    handling: Prose | None = Field(default=None, description="the lab's own words, shown verbatim")
    exercise: bool = False
    stated_at: Instant | None = Field(default=None, description="when the lab said so; an older statement is stale")


class ReleaseAnnounced(Release, Data):
    """A lab states a release. On `releases.<lab>` from the lab, on `releases` with the origin stamped."""

    type: ClassVar[str] = "herald.release.announced.v1"


class ReleaseWithdrawn(Data):
    """A lab withdraws a release. It erases nothing."""

    type: ClassVar[str] = "herald.release.withdrawn.v1"

    reference: Reference
    stated_at: Instant | None = None
