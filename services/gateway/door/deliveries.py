"""What an agency's push endpoints were told: its own deliveries, each attempt, and having one sent again."""

import json
from typing import Annotated, Any, Literal

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from schemas.delivery import Abandon, DeliveryRequested, DeliveryRetried, Failure
from schemas.endpoint import Channel, EndpointId
from schemas.envelope import encode
from schemas.values import AlertKind, Instant, Uuid
from services.gateway.door.answers import LOOKED, Answers
from services.gateway.door.audit import Audit, Known
from services.gateway.door.bodies import ANSWERS
from services.gateway.door.directory import Directory
from services.gateway.door.identity import Agency, Identity
from services.gateway.door.problem import Problem, unavailable
from services.gateway.door.writer import Writer
from services.gateway.model.delivery_reading import Told
from services.gateway.model.delivery_rows import REQUESTS
from services.kernel.clock import Clock
from services.kernel.connection import Connection

router = APIRouter()

PAGE = 100
Status = Literal["pending", "failing", "taken", "abandoned"]
Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str | None, Query(pattern=r"^[0-9]{1,18}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
_ASKED: Answers = LOOKED | {status: ANSWERS[status] for status in (409, 503)}
_LOOKED: Answers = LOOKED | {503: ANSWERS[503]}


class Outcome(BaseModel):
    """What came of one attempt; or, with neither `seconds` nor `reason`, that it was abandoned without one."""

    at: Instant
    outcome: Literal["taken", "failed", "abandoned"]
    seconds: float | None = Field(description="that the attempt took")
    reason: Failure | None = Field(description="why it was not taken")
    abandoned_as: Abandon | None
    answer: str | None = Field(description="what the endpoint said, in short")
    retry_at: Instant | None


class Delivery(BaseModel):
    """One alert on one endpoint, as it stands. `pending`: nothing was tried since it was asked for."""

    delivery_id: Uuid
    alert_id: Uuid
    release_id: Uuid
    endpoint: EndpointId
    channel: Channel | None = Field(description="of the last attempt; null: there was none")
    kind: AlertKind
    exercise: bool
    status: Status
    attempts: int
    requested_at: Instant
    last: Outcome | None


class Deliveries(BaseModel):
    """A page of deliveries, by when they were first asked for."""

    deliveries: list[Delivery]
    cursor: str | None = Field(description="send it as `after` to go on; null: this page is empty")
    more: bool = Field(description="whether another page is there already")


class Attempts(Delivery):
    """The same with everything that came of it, oldest first."""

    outcomes: list[Outcome]


class Asked(BaseModel):
    """Kafka has the request. What comes of it will stand at `delivery_url`."""

    delivery_id: Uuid
    delivery_url: str


class Replays:
    """Has deliveries sent again, by their ids."""

    def __init__(
        self, connection: Connection, writer: Writer, directory: Directory, audit: Audit, clock: Clock
    ) -> None:
        self._topic = connection.topic(REQUESTS)
        self._writer = writer
        self._directory = directory
        self._audit = audit
        self._clock = clock

    async def ask(self, identity: Known, told: Told, request_id: str) -> None:
        """Writes what is to be tried, its audit record first. Raises Problem 409: the endpoint is there no more."""
        request = DeliveryRequested.model_validate_json(json.dumps(told.request), extra="ignore")
        agency = self._directory.registry.agencies.get(request.agency)
        endpoint = agency.endpoints.get(request.endpoint) if agency else None
        if endpoint is None:
            raise Problem(409, "endpoint_gone", "the registry has this endpoint no more; your alerts are at /v1/alerts")
        now, alert = self._clock.now(), request.alert
        about = {"release_ids": (alert.release_id,), "alert_ids": (alert.alert_id,), "target": request.delivery_id}
        await self._audit.write(request_id, identity, "delivery.retry", **about)
        where = {"agency": request.agency, "endpoint": request.endpoint}
        waits = told.status in {"pending", "failing"}
        asked = DeliveryRetried(**where, delivery_id=request.delivery_id) if waits else request.again(endpoint, now)
        event = asked.stamped(cause=request_id, ordinal=0, source="/services/door", time=now)
        try:
            await self._writer.write(self._topic, encode(event), key=asked.subject().encode())
        except (KafkaError, TimeoutError):
            text = "Kafka did not confirm the request; send the same again: it has the same delivery id"
            raise unavailable(text) from None


@router.get("/v1/deliveries", responses=_LOOKED)
async def deliveries(
    request: Request,
    agency: Agency,
    after: After = None,
    status: Annotated[Status | None, Query(description="only those that are so")] = None,
    endpoint: Annotated[EndpointId | None, Query(description="only on this endpoint")] = None,
    limit: Limit = PAGE,
) -> Deliveries:
    """The agency's own deliveries, oldest first. To see what has become of one, ask for it again by its id."""
    place = None
    if after is not None:
        first_ms, _, delivery_id = after.partition("-")
        place = (int(first_ms), delivery_id)
    state = request.app.state
    found = await state.deliveries.page(agency.participant, place, limit + 1, status=status, endpoint=endpoint)
    page = found[:limit]
    await _shown(request, agency, page)
    cursor = "-".join(map(str, page[-1].cursor)) if page else None
    return Deliveries(deliveries=[_delivery(one) for one in page], cursor=cursor, more=len(found) > limit)


@router.get("/v1/deliveries/{delivery_id}", responses=_LOOKED)
async def delivery(request: Request, agency: Agency, delivery_id: Annotated[Uuid, Path()]) -> Attempts:
    """One delivery with every attempt: when, what came back, how long it took, and why it came to nothing."""
    told = await _own(request, agency, delivery_id)
    outcomes = await request.app.state.deliveries.outcomes(agency.participant, delivery_id)
    await _shown(request, agency, [told])
    return Attempts(**_fields(told), outcomes=[Outcome.model_validate(one) for one in outcomes])


@router.post("/v1/deliveries/{delivery_id}/replay", status_code=202, responses=_ASKED)
async def replay(request: Request, agency: Agency, delivery_id: Annotated[Uuid, Path()]) -> Asked:
    """Has a delivery tried now; one that was taken or abandoned is sent again with the same ids: drop the repeat."""
    told = await _own(request, agency, delivery_id)
    await request.app.state.replays.ask(agency, told, request.state.request_id)
    return Asked(delivery_id=delivery_id, delivery_url=f"/v1/deliveries/{delivery_id}")


async def _own(request: Request, agency: Identity, delivery_id: str) -> Told:
    told: Told | None = await request.app.state.deliveries.one(agency.participant, delivery_id)
    if told is None:
        raise Problem(404, "unknown_delivery", "no delivery of yours has this id")
    return told


async def _shown(request: Request, agency: Identity, page: list[Told]) -> None:
    alerts = [{"data": one.request["alert"]} for one in page]
    await request.app.state.audit.shown(request.state.request_id, agency, "delivery.read", alerts)


def _delivery(told: Told) -> Delivery:
    return Delivery(**_fields(told))


def _fields(told: Told) -> dict[str, Any]:
    asked, alert = told.request, told.request["alert"]
    return {
        "delivery_id": asked["delivery_id"],
        "alert_id": alert["alert_id"],
        "release_id": alert["release_id"],
        "endpoint": asked["endpoint"],
        "channel": told.last["channel"] if told.last else None,
        "kind": alert["kind"],
        "exercise": alert["exercise"],
        "status": told.status,
        "attempts": told.attempts,
        "requested_at": asked["requested_at"],
        "last": Outcome.model_validate(told.last) if told.last else None,
    }
