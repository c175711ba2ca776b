"""Wires the notifier: reads windows, reminders, answers, what came of deliveries, and each registry version."""

from schemas.topics import ACKNOWLEDGEMENTS, DELIVERY_OUTCOMES, REMINDERS, WINDOWS
from services.kernel.service import Input, Service
from services.notifier.decide import decide, evolve
from services.notifier.metrics import counts, parts
from services.notifier.state import NotifierState

SERVICE = Service(
    name="notifier",
    state=NotifierState,
    decide=decide,
    evolve=evolve,
    inputs=(
        Input("windows", WINDOWS),
        Input("acknowledgements", ACKNOWLEDGEMENTS),
        Input("reminders", REMINDERS),
        Input("delivery-outcomes", DELIVERY_OUTCOMES),
    ),
    registry="positioned",
    counts=counts,
    parts=parts,
)
