"""How the page looks and lives: one style sheet, one script."""

from fastapi import APIRouter, Request, Response

from services.gateway.console.shell import STATIC
from services.gateway.door.identity import PAGE_PATH
from services.gateway.door.problem import Problem

router = APIRouter(prefix=PAGE_PATH)


@router.get("/static/{name}")
async def asset(request: Request, name: str) -> Response:
    """A file. Pages name it with its content's hash, so it may be kept for as long as anybody likes."""
    if name not in STATIC:
        raise Problem(404, "not_found", "there is no such file")
    content, kind = STATIC[name]
    request.state.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return Response(content, media_type=kind)
