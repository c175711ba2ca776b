"""Wires acknowledgements: reads `windows`, `alerts` and `acks`; needs no registry.

An answer is decided only once `alerts` has been read to its end as seen after the answer was taken: "never sent" must
be the truth.
"""

from schemas.topics import ACKS, ALERTS, WINDOWS
from services.acknowledgements.decide import decide, evolve
from services.acknowledgements.metrics import counts, parts
from services.acknowledgements.state import AcknowledgementState
from services.kernel.service import Input, Service

PACE_SECONDS = 0.5
"""A change comes as a window and then as alerts: without it, that makes twice the transactions of any other service.

Answers and what silence calls for keep to none.
"""

SERVICE = Service(
    name="acknowledgements",
    state=AcknowledgementState,
    decide=decide,
    evolve=evolve,
    inputs=(
        Input("windows", WINDOWS, patient=True),
        Input("alerts", ALERTS, patient=True),
        Input("acks", ACKS, after=("alerts", "windows")),
    ),
    registry="none",
    counts=counts,
    parts=parts,
    pace=PACE_SECONDS,
)
