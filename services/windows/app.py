"""Wires windows: reads `announcements`, with the live registry for the policy of a new window."""

from schemas.topics import ANNOUNCEMENTS
from services.kernel.service import Input, Service
from services.windows.decide import decide, evolve
from services.windows.metrics import parts
from services.windows.state import WindowState

SERVICE = Service(
    name="windows",
    state=WindowState,
    decide=decide,
    evolve=evolve,
    inputs=(Input("announcements", ANNOUNCEMENTS),),
    parts=parts,
)
