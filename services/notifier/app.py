"""Wires the notifier: reads `windows`, `reminders`, `acknowledgements`, and each registry version in its order."""

from schemas.topics import ACKNOWLEDGEMENTS, REMINDERS, WINDOWS
from services.kernel.service import Input, Service
from services.notifier.decide import decide, evolve
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
    ),
    registry="positioned",
)
