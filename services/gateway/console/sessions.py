"""Sessions of the page: a signed cookie that names a token, or who a login service said it is. Nothing is stored.

Source: RFC 7519 (JWT); RFC 6265bis (cookies). Another link key ends every session.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from schemas.credential import CredentialIssued, Role
from services.gateway.door.directory import Directory
from services.kernel.link_key import link_key
from services.kernel.settings import Settings

LASTS = timedelta(hours=12)
"""A shift. After that, or with its token, a session ends."""

_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at the page. `token_id` says it in the audit: a token's id, or a hash of whom a login service named."""

    session_id: str
    role: Role
    kind: Literal["token", "oidc"]
    token_id: str
    name: str
    expires_at: datetime
    participant: None = None


class Sessions:
    """Opens sessions, and tells whose a cookie is."""

    def __init__(self, settings: Settings, directory: Directory) -> None:
        key = hmac.digest(link_key(settings), b"herald operators' page", "sha256")
        self._key, self._signing = key, OctKey.import_key(key)
        self._directory = directory
        self._ended: dict[str, datetime] = {}

    def of_token(self, known: CredentialIssued, now: datetime) -> tuple[str, Visitor]:
        """A session for who has shown a token: the cookie, and who it is."""
        assert known.role is not None  # noqa: S101 - whoever calls has looked
        expires = min(known.expires_at, now + LASTS)
        visitor = Visitor(secrets.token_hex(16), known.role, "token", known.token_id, known.name, expires)
        return self._signed(visitor), visitor

    def of_login(self, issuer: str, subject: str, role: Role, now: datetime) -> tuple[str, Visitor]:
        """The same for whom a login service has named. Neither its name nor its address is kept."""
        who = hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()[:12]
        visitor = Visitor(secrets.token_hex(16), role, "oidc", who, "signed in", now + LASTS)
        return self._signed(visitor), visitor

    def visitor(self, cookie: str | None, now: datetime) -> Visitor | None:
        """Whose session it is; None: nobody's, over, or of a token that is not taken any more."""
        claims = self.opened(cookie, "session")
        if claims is None:
            return None
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        if expires <= now or claims["jti"] in self._ended:
            return None
        if claims["kind"] == "oidc":
            return Visitor(claims["jti"], claims["role"], "oidc", claims["sub"], "signed in", expires)
        known = self._directory.tokens.issued.get(claims["sub"])
        if known is None or known.role is None or known.expires_at <= now:
            return None
        return Visitor(claims["jti"], known.role, "token", known.token_id, known.name, expires)

    def lasts(self, visitor: Visitor, now: datetime) -> bool:
        """Whether what was opened may go on: a stream."""
        if visitor.expires_at <= now or visitor.session_id in self._ended:
            return False
        known = self._directory.tokens.issued.get(visitor.token_id) if visitor.kind == "token" else None
        return visitor.kind == "oidc" or (known is not None and known.role == visitor.role and known.expires_at > now)

    def end(self, visitor: Visitor, now: datetime) -> None:
        """Ends a session at this door; its cookie goes from the browser."""
        self._ended = {one: until for one, until in self._ended.items() if until > now}
        self._ended[visitor.session_id] = visitor.expires_at

    def seal(self, session_id: str) -> str:
        """What each form of a session carries, so that no other site can send one."""
        return hmac.digest(self._key, f"form {session_id}".encode(), "sha256").hex()

    def fits(self, session_id: str, seal: str) -> bool:
        """Whether a form is of this session."""
        return hmac.compare_digest(self.seal(session_id).encode(), seal.encode())

    def sealed(self, purpose: str, expires: datetime, **claims: Any) -> str:
        """Claims that nobody else can make, for a cookie."""
        said = {"purpose": purpose, "exp": int(expires.timestamp()), **claims}
        return jwt.encode({"alg": _ALGORITHM}, said, self._signing)

    def opened(self, text: str | None, purpose: str) -> dict[str, Any] | None:
        """What was sealed for a purpose; None: it was not, or not here."""
        if not text:
            return None
        try:
            found = jwt.decode(text, self._signing, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError):
            return None
        return found if found.get("purpose") == purpose else None

    def _signed(self, visitor: Visitor) -> str:
        about = {"jti": visitor.session_id, "kind": visitor.kind, "sub": visitor.token_id, "role": visitor.role}
        return self.sealed("session", visitor.expires_at, **about)
