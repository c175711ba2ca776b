"""What a record of `deliveries` or `delivery-outcomes` changes in the tables. Pure."""

import json
from typing import Any

from sqlalchemy import BigInteger, Executable, Integer, Text, exists, func, literal, select

from schemas.delivery import DeliveryAbandoned, DeliveryFailed, DeliveryRequested, DeliverySucceeded
from services.gateway.model.tables import DELIVERIES, DELIVERY_OUTCOMES

REQUESTS, OUTCOMES = "deliveries", "delivery-outcomes"
_STANDINGS = {
    DeliverySucceeded.type: "taken",
    DeliveryFailed.type: "failing",
    DeliveryAbandoned.type: "abandoned",
}


def of_request(event: dict[str, Any], appended_ms: int) -> list[Executable]:
    """A delivery is asked for; again, if it was before. What else operators want is not shown to agencies."""
    if event["type"] != DeliveryRequested.type:
        return []
    data = event["data"]
    first = func.coalesce(DELIVERIES.c.first_ms, literal(appended_ms, BigInteger))
    values = {"first_ms": first, "requested_ms": appended_ms, "request": _text(data)}
    same = DELIVERIES.c.delivery_id == data["delivery_id"]
    return [_there(data, data["alert"]["release_id"]), DELIVERIES.update().where(same).values(values)]


def of_outcome(event: dict[str, Any], partition: int, offset: int, appended_ms: int) -> list[Executable]:
    """An attempt, or the end of a delivery without one. How endpoints are, and notices, are the operators' matter."""
    if event["type"] not in _STANDINGS:
        return []
    data, standing = event["data"], _STANDINGS[event["type"]]
    abandoned = standing == "abandoned"
    failure = data.get("failure") if abandoned else data.get("reason")
    outcome = {
        "at": data["at"],
        "outcome": "failed" if standing == "failing" else standing,
        "seconds": data.get("seconds"),
        "reason": failure,
        "abandoned_as": data["reason"] if abandoned else None,
        "answer": data.get("answer"),
        "retry_at": data.get("retry_at"),
        "channel": data.get("channel"),
    }
    attempts = DELIVERIES.c.attempts + (0 if abandoned and failure is None else 1)
    values = {"settled_ms": appended_ms, "standing": standing, "attempts": attempts, "last": _text(outcome)}
    kept = {"partition": partition, "offset": offset, "delivery_id": data["delivery_id"], "body": _text(outcome)}
    same = DELIVERIES.c.delivery_id == data["delivery_id"]
    return [
        _there(data, data["release_id"]),
        DELIVERIES.update().where(same).values(values),
        DELIVERY_OUTCOMES.insert().values(kept),
    ]


def _there(data: dict[str, Any], release_id: str) -> Executable:
    """Makes the row, if no record of the other topic has made it."""
    row = {name: data[name] for name in ("delivery_id", "agency", "endpoint")} | {"release_id": release_id}
    same = exists().where(DELIVERIES.c.delivery_id == data["delivery_id"])
    values = select(*[literal(value, Text) for value in row.values()], literal(0, Integer)).where(~same)
    return DELIVERIES.insert().from_select([*row, "attempts"], values)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
