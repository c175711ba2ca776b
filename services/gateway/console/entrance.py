"""Who is let in where: viewers look, operators act as well, and every form is of the session that sends it."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from services.gateway.console.sessions import Sessions, Visitor
from services.gateway.door.bodies import raw
from services.gateway.door.identity import PAGE_PATH
from services.gateway.door.problem import Problem

SESSION, VISIT = "herald_session", "herald_visit"
"""Cookies: of who is let in, and of who is not yet."""

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS, LONGEST = 10, 512


class LoginNeeded(Exception):
    """Nobody is let in by this request's cookie."""


def sessions(request: Request) -> Sessions:
    """The door's sessions."""
    found: Sessions = request.app.state.console.sessions
    return found


async def viewer(request: Request) -> Visitor:
    """Whoever is let in. Raises LoginNeeded, or Problem 429."""
    visitor = sessions(request).visitor(request.cookies.get(SESSION), datetime.now(UTC))
    if visitor is None:
        raise LoginNeeded
    gatekeeper = request.app.state.gatekeeper
    request.state.headers.update(gatekeeper.hold(f"{visitor.token_id} of the page"))
    request.state.afterwards.enter_context(gatekeeper.open_request(f"{visitor.token_id} of the page"))
    request.state.visitor = visitor
    request.state.participant = f"{visitor.kind}/{visitor.token_id}"
    return visitor


async def fields(request: Request) -> dict[str, str]:
    """What a form said, each field once. Raises Problem."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Problem(403, "another_site", "this form came from another site: it is taken from this page only")
    text = (await raw(request, FORM)).decode(errors="replace")
    try:
        given = parse_qs(text, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Problem(400, "incomplete", f"a form has at most {MOST_FIELDS} fields") from None
    return {name: values[0] for name, values in given.items()}


async def sent(request: Request, visitor: "Viewer") -> dict[str, str]:
    """What a form of this session said. Raises Problem 403 for another's."""
    said = await fields(request)
    _check(request, visitor.session_id, said)
    return said


async def sent_by_operator(said: "Sent", visitor: "Viewer") -> dict[str, str]:
    """The same, of an operator. Raises Problem 403 for a viewer."""
    if visitor.role != "operator":
        raise Problem(403, "operators_only", "this needs the role operator; you are let in as a viewer")
    return said


async def sent_by_anybody(request: Request) -> dict[str, str]:
    """What a form said of somebody who may not be let in yet. Raises Problem 403 where no page of ours was open."""
    said = await fields(request)
    visitor = sessions(request).visitor(request.cookies.get(SESSION), datetime.now(UTC))
    _check(request, visitor.session_id if visitor else request.cookies.get(VISIT, ""), said)
    return said


def _check(request: Request, session_id: str, said: dict[str, str]) -> None:
    if not session_id or not sessions(request).fits(session_id, said.pop("seal", "")):
        raise Problem(
            403, "form_not_taken", "this form is of no page that is open here: open the page, and send it again"
        )


Viewer = Annotated[Visitor, Depends(viewer)]
Sent = Annotated[dict[str, str], Depends(sent)]
SentByOperator = Annotated[dict[str, str], Depends(sent_by_operator)]
SentByAnybody = Annotated[dict[str, str], Depends(sent_by_anybody)]


def local(path: str | None) -> str:
    """An address of this page that was asked for, else the first one: never another site's."""
    inside = path is not None and (path == PAGE_PATH or path.startswith((f"{PAGE_PATH}/", f"{PAGE_PATH}?")))
    fits = path is not None and len(path) <= LONGEST and path.isprintable() and "\\" not in path
    return path if path is not None and inside and fits else PAGE_PATH


async def to_login(request: Request, _: Any) -> Response:
    """Asks who it is. A stream, which nobody sees, is refused."""
    if request.url.path.endswith("/live"):
        return Response(status_code=401)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = f"?{urlencode({'next': wanted})}" if request.method == "GET" and wanted != PAGE_PATH else ""
    return RedirectResponse(f"{PAGE_PATH}/login{query}", 303)


def keep(response: Response, request: Request, name: str, value: str, seconds: int) -> None:
    """Sets a cookie of the page's: no script reads it, and no other site's form sends it along."""
    secure = request.app.state.console.is_secure
    response.set_cookie(name, value, max_age=seconds, path=PAGE_PATH, httponly=True, samesite="lax", secure=secure)
