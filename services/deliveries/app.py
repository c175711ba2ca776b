"""Wires deliveries: reads `deliveries`, keyed by endpoint, and does outside what has begun."""

from schemas.topics import DELIVERIES
from services.deliveries.decide import decide, evolve
from services.deliveries.metrics import certificates, counts, parts
from services.deliveries.perform import Courier
from services.deliveries.state import EndpointState
from services.kernel.service import Input, Service

SERVICE = Service(
    name="deliveries",
    state=EndpointState,
    decide=decide,
    evolve=evolve,
    inputs=(Input("deliveries", DELIVERIES),),
    performer=Courier,
    keyed_by="endpoint",
    counts=counts,
    parts=parts,
    on_registry=certificates,
)
