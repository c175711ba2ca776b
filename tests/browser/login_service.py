"""A login service on loopback: authorization code with PKCE, for whoever the test says is logging in."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.broker.issuer import Answer, Issuer

CLIENT, SECRET = "herald-page", "the-client-s-own"


@dataclass(slots=True)
class LoginService(Issuer):
    """An issuer that people log in to. `who`: their claims; `bends`: what of their token is not as it would be."""

    who: dict[str, Any] = field(default_factory=lambda: {"sub": "somebody", "roles": ["herald-operator"]})
    bends: dict[str, Any] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    begun: dict[str, dict[str, str]] = field(default_factory=dict)

    def answer(self, target: str, authorization: str | None, form: dict[str, str] | None = None) -> Answer:
        """What a browser, or the page, gets."""
        parts = urlsplit(target)
        if parts.path in self.answers:
            return self.answers[parts.path]
        if parts.path == "/.well-known/openid-configuration":
            at = self.address
            found = {"issuer": at, "jwks_uri": f"{at}/jwks", "token_endpoint": f"{at}/token"}
            return 200, {}, json.dumps(found | {"authorization_endpoint": f"{at}/authorize"}).encode()
        if parts.path == "/authorize":
            return self._authorize({name: values[0] for name, values in parse_qs(parts.query).items()})
        if parts.path == "/token" and form is not None:
            return self._exchange(authorization, form)
        return Issuer.answer(self, target, authorization, form)

    def _authorize(self, asked: dict[str, str]) -> Answer:
        assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT, "S256")
        code = secrets.token_hex(8)
        self.begun[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.address})
        return 302, {"Location": f"{asked['redirect_uri']}?{back}"}, b""

    def _exchange(self, authorization: str | None, form: dict[str, str]) -> Answer:
        begun = self.begun.pop(form["code"], None)
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        )
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if begun is None or begun["code_challenge"] != challenge or authorization != basic:
            return 400, {}, b'{"error": "invalid_grant"}'
        assert begun["redirect_uri"] == form["redirect_uri"]
        token = self.token(**({"aud": CLIENT, "nonce": begun["nonce"]} | self.who | self.bends))
        self.issued.append(token)
        return 200, {}, json.dumps({"id_token": token, "access_token": "unused", "token_type": "Bearer"}).encode()
