"""Wires announcements: reads `releases`, with the live registry for what it warns of."""

from schemas.topics import RELEASES
from services.announcements.decide import decide, evolve
from services.announcements.state import AnnouncementState
from services.kernel.service import Input, Service

SERVICE = Service(
    name="announcements",
    state=AnnouncementState,
    decide=decide,
    evolve=evolve,
    inputs=(Input("releases", RELEASES),),
)
