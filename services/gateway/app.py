"""Wires the Kafka edge: every `releases.<lab>` and `acks.<agency>`, grouped into shards by name."""

from services.gateway.decide import decide, evolve, key
from services.gateway.state import EdgeState
from services.kernel.service import Service

REST = 3.0
"""Longer than that of the others: what an edge lets in together goes on together, one transaction less at each hop."""

SERVICE = Service(
    name="gateway",
    state=EdgeState,
    decide=decide,
    evolve=evolve,
    edges=("releases.", "acks."),
    edge_key=key,
    keyed_by="edge and bucket",
    rest=REST,
)
