"""Which push endpoints an operator means, and how it is written to `deliveries` what is wanted of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated
from uuid import uuid4

import typer

from schemas.envelope import Data, encode
from schemas.registry import Registry
from services.kernel.connection import Connection
from services.kernel.letting_go import let_go
from services.kernel.settings import SettingsError

TOPIC, OUTCOMES = "deliveries", "delivery-outcomes"

Target = Annotated[str, typer.Argument(metavar="AGENCY[/ENDPOINT]", help="One endpoint, or all of an agency.")]


async def ask(connection: Connection, asked: Sequence[Data], now: datetime) -> None:
    """Writes to `deliveries`, each by its endpoint's key; when it returns, Kafka has all of it on all replicas."""
    cause, producer = str(uuid4()), connection.producer()
    events = [
        (one.subject(), one.stamped(cause=cause, ordinal=number, source="/services/operator", time=now))
        for number, one in enumerate(asked)
    ]
    await producer.start()
    try:
        for key, event in events:
            await producer.send_and_wait(connection.topic(TOPIC), encode(event), key=key.encode())
    finally:
        await let_go(producer)


def chosen(registry: Registry, target: str, *, one: bool = False) -> list[tuple[str, str]]:
    """The endpoints that `AGENCY[/ENDPOINT]` means. Raises SettingsError naming near ones when there is none."""
    agency, slash, endpoint = target.partition("/")
    if agency not in registry.agencies:
        near = nearest(agency, registry.agencies)
        raise SettingsError(f"{agency} is no agency of the registry{near}: `herald registry show` lists them")
    known = registry.agencies[agency].endpoints
    if not known:
        raise SettingsError(f"{agency} has no endpoints in the registry: there is nothing to be told there")
    if slash and endpoint not in known:
        raise SettingsError(f"{agency} has no endpoint {endpoint}{nearest(endpoint, known)}: it has {', '.join(known)}")
    if one and not slash:
        raise SettingsError(f"{agency}: name one endpoint, as {agency}/{next(iter(known))}; it has {', '.join(known)}")
    return [(agency, endpoint)] if slash else [(agency, name) for name in known]


def nearest(name: str, known: Collection[str]) -> str:
    """A question about the nearest names, if any is near."""
    near = get_close_matches(name, sorted(known), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""
