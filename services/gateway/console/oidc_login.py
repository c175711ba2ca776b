"""Logging in with a login service of the operators' own: authorization code with PKCE.

Source: OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE, S256); RFC 9207 (`iss` in the answer).
"""

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from schemas.credential import Role
from services.gateway.console.entrance import keep, local, sessions
from services.gateway.console.login import let_in
from services.gateway.console.shell import render
from services.gateway.door.identity import PAGE_PATH, Anybody
from services.gateway.door.issuers import Issuers, may_be_asked
from services.gateway.door.oidc import prove
from services.gateway.door.problem import Problem
from services.kernel.settings import DoorSettings, SettingsError, kept_in

router = APIRouter(prefix=PAGE_PATH)

ATTEMPT = "herald_attempt"
LASTS = timedelta(minutes=10)
"""So long may somebody take over there."""

Said = Annotated[str | None, Query(max_length=4096)]


class LoginService:
    """The operators' login service, as the settings name it. Raises SettingsError where they cannot work."""

    def __init__(self, settings: DoorSettings) -> None:
        self.issuer = settings.oidc_issuer
        self._settings = settings
        self._issuers = Issuers()
        if not self.issuer:
            return
        if not may_be_asked(self.issuer, self.issuer):
            raise SettingsError(f"HERALD_DOOR__OIDC_ISSUER {self.issuer}: logins would be in the clear; use https")
        if not settings.oidc_client_id:
            raise SettingsError("HERALD_DOOR__OIDC_CLIENT_ID: say as which client the issuer knows this page")
        self._secret()

    async def begun(self, state: str, nonce: str, verifier: str) -> str:
        """Where to send a browser. Raises Problem 503."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._redirect,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        where = await self._endpoint("authorization_endpoint")
        return f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"

    async def ended(self, code: str, nonce: str, verifier: str, now: datetime) -> tuple[str, Role]:
        """Who has logged in, and as what. Raises Problem 403 or 503."""
        client = self._settings.oidc_client_id
        try:
            secret = self._secret()
        except SettingsError as error:
            raise Problem(503, "misconfigured", str(error)) from None
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect}
        form |= {"code_verifier": verifier} | ({} if secret else {"client_id": client})
        where = await self._endpoint("token_endpoint")
        answer = await self._issuers.asked(self.issuer, where, form, (client, secret) if secret else None)
        if not isinstance(token := answer.get("id_token"), str):
            raise Problem(403, "no_identity", "the login service gave no identity token")
        try:
            proven = await prove(token, {self.issuer}, self._issuers, now)
        except Problem as problem:
            if problem.code == "wrong_issuer":  # it speaks of publishers, which are labs'
                raise Problem(403, problem.code, "the identity token is of another issuer") from None
            raise
        claims, audience = proven.claims, proven.claims.get("aud")
        if client not in (audience if isinstance(audience, list) else [audience]):
            raise Problem(403, "wrong_audience", "the identity token is for somebody else")
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != client:
            raise Problem(403, "wrong_audience", "the identity token was issued to somebody else")
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise Problem(403, "replayed", "the identity token is of another login")
        if not isinstance(subject := claims.get("sub"), str) or not subject:
            raise Problem(403, "no_identity", "the identity token says of nobody that it is theirs")
        return subject, self._role(claims)

    def _role(self, claims: dict[str, Any]) -> Role:
        found: Any = claims
        for name in self._settings.oidc_role_claim.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        listed = found if isinstance(found, list) else [found]
        if self._settings.oidc_operators in listed:
            return "operator"
        if self._settings.oidc_viewers in listed:
            return "viewer"
        claim = self._settings.oidc_role_claim
        raise Problem(403, "no_role", f"you are known, but {claim} of your identity gives you no role here")

    @property
    def _redirect(self) -> str:
        if self._settings.address is None:
            raise Problem(503, "no_public_url", "set HERALD_DOOR__PUBLIC_URL: nobody has said where this page is")
        return f"{self._settings.address}{PAGE_PATH}/login/callback"

    async def _endpoint(self, name: str) -> str:
        if not self.issuer:
            raise Problem(404, "not_found", "no login service is set up here: HERALD_DOOR__OIDC_ISSUER")
        found = (await self._issuers.about(self.issuer)).get(name)
        if not isinstance(found, str) or not may_be_asked(found, self.issuer):
            raise Problem(503, "issuer_unavailable", f"{self.issuer} names no {name} that is https")
        return found

    def _secret(self) -> str:
        path = self._settings.oidc_client_secret_file
        return kept_in(path, "HERALD_DOOR__OIDC_CLIENT_SECRET_FILE") if path is not None else ""


@router.get("/login/service")
async def begin(request: Request, _: Anybody, next: Said = None) -> Response:
    """Sends the browser to the login service."""
    made = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
    response = RedirectResponse(await request.app.state.console.login_service.begun(**made), 303)
    sealed = sessions(request).sealed("login", datetime.now(UTC) + LASTS, next=local(next), **made)
    keep(response, request, ATTEMPT, sealed, int(LASTS.total_seconds()))
    return response


@router.get("/login/callback")
async def end(request: Request, _: Anybody, code: Said = None, state: Said = None, iss: Said = None) -> Response:
    """Comes back from there: opens a session for who that was."""
    now, service = datetime.now(UTC), request.app.state.console.login_service
    begun = sessions(request).opened(request.cookies.get(ATTEMPT), "login")
    wanted = begun["next"] if begun else PAGE_PATH
    try:
        if begun is None or begun["exp"] < now.timestamp() or state != begun["state"]:
            raise Problem(403, "another_login", "that was the end of another login, or it took too long: begin again")
        if code is None or iss not in {None, service.issuer}:
            raise Problem(403, "not_logged_in", "the login service did not let you in")
        subject, role = await service.ended(code, begun["nonce"], begun["verifier"], now)
        cookie, visitor = sessions(request).of_login(service.issuer, subject, role, now)
        response = await let_in(request, visitor, cookie, wanted, now)
    except Problem as problem:
        request.state.headers.update(problem.headers)
        said = f"{problem.detail[:1].upper()}{problem.detail[1:]}."
        response = render(request, "login.html", problem.status, wanted=wanted, refused=said)
    response.delete_cookie(ATTEMPT, path=PAGE_PATH)
    return response
