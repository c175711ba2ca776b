"""Dead letters: what could not be read or decided, and giving it back. Never its content."""

import asyncio
from datetime import datetime
from typing import Annotated

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from services.gateway.console.entrance import SentByOperator, Viewer
from services.gateway.console.shell import render
from services.gateway.door.identity import PAGE_PATH
from services.gateway.door.problem import Problem
from services.kernel.dead_letter_log import Found, Outcome, give_back, letters
from services.kernel.settings import SettingsError

router = APIRouter(prefix=PAGE_PATH)

READ_SECONDS, REPLAY_SECONDS = 20.0, 10.0
LetterId = Annotated[str, Path(pattern=r"^[0-9]{1,4}-[0-9]{1,18}$")]
WORDS: dict[Outcome, str] = {
    "decided": "was given back, and decided",
    "failed": "was given back, and could not be decided again: a new dead letter says why",
    "refused": "is closed: a later record of its key was decided, or it was replayed or dropped before",
    "unanswered": "was given back; its service has not taken it yet",
    "dropped": "was dropped",
}


@router.get("/dead-letters")
async def dead_letters(
    request: Request,
    _: Viewer,
    closed: Annotated[bool, Query()] = False,
    which: Annotated[str, Query(pattern=r"^([0-9]{1,4}-[0-9]{1,18})?$")] = "",
    outcome: Annotated[Outcome | None, Query()] = None,
) -> Response:
    """Those that are open, or all that are kept."""
    kept = await _kept(request)
    rows = [(one, _at(request, one)) for one in reversed(kept) if one.open or closed]
    return render(
        request,
        "dead_letters.html",
        rows=rows,
        closed=closed,
        counts={"open": sum(one.open for one in kept), "closed": sum(not one.open for one in kept)},
        said=f"{which} {WORDS[outcome]}" if which and outcome else None,
        is_good=outcome == "decided",
    )


@router.post("/dead-letters/{letter_id}/replay")
async def replay(request: Request, visitor: Viewer, said: SentByOperator, letter_id: LetterId) -> Response:
    """Gives one back to its service. Raises Problem where that was not confirmed."""
    if said.get("mended") != "yes":
        raise Problem(422, "not_confirmed", "say that what stopped it has been mended, and send the form again")
    found = next((one for one in await _kept(request) if one.id == letter_id), None)
    if found is None:
        raise Problem(404, "unknown_letter", "no dead letter has this id any more")
    if found.open:
        await request.app.state.audit.write(request.state.request_id, visitor, "dead-letter.replay", target=letter_id)
    try:
        outcome = await give_back(request.app.state.console.connection, found, REPLAY_SECONDS)
    except KafkaError:
        raise Problem(503, "unavailable", "Kafka did not confirm the replay; look whether it is still open") from None
    return RedirectResponse(f"{PAGE_PATH}/dead-letters?which={letter_id}&outcome={outcome}", 303)


async def _kept(request: Request) -> list[Found]:
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await letters(request.app.state.console.connection)
    except SettingsError as error:
        raise Problem(503, "unavailable", str(error)) from None
    except (KafkaError, TimeoutError):
        raise Problem(503, "unavailable", "dead letters cannot be read from Kafka just now; look again") from None


def _at(request: Request, found: Found) -> datetime:
    at: datetime = request.app.state.clock.at(found.record.timestamp)
    return at
