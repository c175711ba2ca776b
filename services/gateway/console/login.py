"""Logging in with an operators' token, logging out, and how the page is to look."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from services.gateway.console.entrance import SESSION, SentByAnybody, keep, local, sessions
from services.gateway.console.sessions import Visitor
from services.gateway.console.shell import keep_theme, render
from services.gateway.door.identity import PAGE_PATH, Anybody
from services.gateway.door.problem import Problem

router = APIRouter(prefix=PAGE_PATH)


@router.get("/login")
async def ask(request: Request, next: str | None = None) -> Response:
    """Asks who it is."""
    return render(request, "login.html", wanted=local(next), refused=None)


@router.post("/login")
async def log_in(request: Request, said: SentByAnybody, _: Anybody) -> Response:
    """Opens a session for who has an operators' token."""
    state, now = request.app.state, datetime.now(UTC)
    wanted, token = local(said.get("next")), said.get("token", "").strip()
    await state.gatekeeper.hears_of(token)
    known = state.directory.tokens.holder(token, now)
    if known is None or known.role is None:
        why = (
            "This token is not taken: it is unknown, wrong, expired or revoked."
            if known is None
            else "This token is a lab’s or an agency’s. The page opens with one of `herald tokens issue --role`."
        )
        return render(request, "login.html", 403, wanted=wanted, refused=why)
    cookie, visitor = sessions(request).of_token(known, now)
    return await let_in(request, visitor, cookie, wanted, now)


@router.post("/logout")
async def log_out(request: Request, _: SentByAnybody) -> Response:
    """Ends the session."""
    now = datetime.now(UTC)
    visitor = sessions(request).visitor(request.cookies.get(SESSION), now)
    if visitor is not None:
        sessions(request).end(visitor, now)
    response = RedirectResponse(f"{PAGE_PATH}/login", 303)
    response.delete_cookie(SESSION, path=PAGE_PATH)
    return response


@router.post("/theme")
async def dress(request: Request, said: SentByAnybody) -> Response:
    """Light, dark, or as the system is."""
    response = RedirectResponse(local(said.get("next")), 303)
    keep_theme(response, request, said.get("theme", "auto"))
    return response


async def let_in(request: Request, visitor: Visitor, cookie: str, wanted: str, now: datetime) -> Response:
    """Writes down that somebody was let in, and sets the cookie. Raises Problem 503: then nobody is."""
    try:
        await request.app.state.audit.write(request.state.request_id, visitor, "console.login", target=visitor.role)
    except Problem as problem:
        return render(request, "login.html", problem.status, wanted=wanted, refused=problem.detail)
    response = RedirectResponse(wanted, 303)
    keep(response, request, SESSION, cookie, int((visitor.expires_at - now).total_seconds()))
    return response
