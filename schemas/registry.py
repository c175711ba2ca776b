"""The registry: labs, agencies, capabilities and policy, applied as one file, kept version by version."""

from datetime import timedelta
from functools import lru_cache
from typing import Annotated, ClassVar, Literal
from uuid import UUID, uuid5

from pydantic import Field

from schemas.endpoint import Endpoint, EndpointId, MailRelay, Network, QuietHours
from schemas.envelope import Data
from schemas.publisher import Publisher
from schemas.values import (
    Capability,
    Duration,
    Instant,
    Line,
    OptionalKind,
    ParticipantId,
    Prose,
    Strict,
    Tier,
    Uuid,
)
from schemas.window import WindowPolicy


class Lab(Strict):
    """A lab that may announce."""

    name: Line
    publishers: Annotated[tuple[Publisher, ...], Field(max_length=20)] = Field(
        default=(), description="CI that speaks for the lab over HTTP with no stored secret"
    )


class Interests(Strict):
    """What an agency wants to hear of when a release addresses by matching. Absent: everything."""

    capabilities: Literal["all"] | tuple[Capability, ...] = "all"
    labs: Literal["all"] | tuple[ParticipantId, ...] = "all"


class Agency(Strict):
    """An agency that may be told."""

    name: Line
    time_zone: Line = "UTC"
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=10)] = ("watch",)
    interests: Interests = Interests()
    kinds: tuple[OptionalKind, ...] = ("scheduled", "opened", "closing-soon", "closed")
    exercises: bool = Field(default=False, description="takes part in drills")
    shares_answers: bool = Field(default=False, description="a lab may see what it answered on the lab's releases")
    endpoints: Annotated[dict[EndpointId, Endpoint], Field(max_length=50)] = Field(
        default_factory=dict, description="where it is told besides its topic"
    )
    quiet_hours: QuietHours | None = Field(default=None, description="when endpoints are not told what can wait")


class Policy(WindowPolicy):
    """How long is how long; the defaults are the design's."""

    closing_warning: Duration = timedelta(days=3)
    answer_within: Duration = timedelta(days=1)
    answer_within_soon: Duration = timedelta(hours=4)
    soon: Duration = timedelta(days=7)
    fallback_after: Duration = timedelta(minutes=10)


class Drills(Strict):
    """Exercises that `herald drill` sends to the agencies that take part."""

    lab: ParticipantId = Field(description="announces them; best one of its own, which nobody else speaks for")
    every: Duration | None = Field(default=None, description="`herald drill --due` does nothing sooner than that")


class RegistryFile(Strict):
    """What people write: one YAML file."""

    labs: dict[ParticipantId, Lab] = Field(default_factory=dict)
    agencies: dict[ParticipantId, Agency] = Field(default_factory=dict)
    capabilities: dict[Capability, Prose] = Field(default_factory=dict)
    policy: Policy = Policy()
    drills: Drills | None = None
    mail: MailRelay | None = Field(default=None, description="the SMTP server that mails go through")
    allow_networks: Annotated[tuple[Network, ...], Field(max_length=100)] = Field(
        default=(), description="addresses that are not public and may be connected to all the same"
    )


class Registry(RegistryFile, Data):
    """One applied version. `offboarded` holds ids that are never used again."""

    type: ClassVar[str] = "herald.registry.applied.v1"

    version: int = Field(default=0, ge=0)
    applied_at: Instant | None = None
    namespace: Uuid = "00000000-0000-0000-0000-000000000000"
    offboarded: dict[ParticipantId, Instant] = Field(default_factory=dict)

    def subject(self) -> str:
        return "registry"

    def topics(self) -> tuple[str, ...]:
        return ("registry", "registry-versions")

    def release_id(self, lab: str, reference: str) -> str:
        """The opaque id of a release: UUIDv5 of `<lab>/<reference>` in this deployment's namespace."""
        return _release_id(self.namespace, f"{lab}/{reference}")


@lru_cache(4096)  # every statement on a release, and every repeat, asks for it
def _release_id(namespace: str, name: str) -> str:
    return str(uuid5(UUID(namespace), name))
