"""Wires acknowledgements: reads `windows`, `alerts` and `acks`; needs no registry.

An answer is decided only once `alerts` has been read to its end as seen after the answer was taken: "never sent" must
be the truth.
"""

from schemas.topics import ACKS, ALERTS, WINDOWS
from services.acknowledgements.decide import decide, evolve
from services.acknowledgements.metrics import counts, parts
from services.acknowledgements.state import AcknowledgementState
from services.kernel.service import Input, Service

PACE_SECONDS = 0.1
"""A change comes as a window and then as alerts: without it, that makes twice the transactions of any other service."""

SERVICE = Service(
    name="acknowledgements",
    state=AcknowledgementState,
    decide=decide,
    evolve=evolve,
    inputs=(
        Input("windows", WINDOWS),
        Input("alerts", ALERTS),
        Input("acks", ACKS, after=("alerts", "windows")),
    ),
    registry="none",
    counts=counts,
    parts=parts,
    pace=PACE_SECONDS,
)
