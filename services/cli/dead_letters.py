"""`herald dead-letters`: what could not be read or decided."""

import asyncio
from typing import Any

from services.cli import reading, session


def dead_letters(as_json: session.Json = False) -> None:
    """List the dead letters: where each record stands, and why it could not be handled. Never its content.

    Example: herald dead-letters --json
    """
    asyncio.run(_list(as_json))


async def _list(as_json: bool) -> None:
    connection = session.connect(session.settings())
    async for record in reading.records(connection, "dead-letters"):
        fields = _fields(record)
        line = f"{fields['topic']}/{fields['partition']}@{fields['offset']}  {fields['service']}  {fields['reason']}"
        session.say(as_json, f"{line}  {fields['detail']}  ({fields['bytes']} bytes)", **fields)


def _fields(record: Any) -> dict[str, Any]:
    headers = {name.removeprefix("herald-"): value.decode(errors="replace") for name, value in record.headers}
    return {
        "topic": headers.get("topic", ""),
        "partition": headers.get("partition", ""),
        "offset": headers.get("offset", ""),
        "service": headers.get("service", ""),
        "reason": headers.get("reason", ""),
        "detail": headers.get("detail", ""),
        "bytes": len(record.value or b""),
    }
