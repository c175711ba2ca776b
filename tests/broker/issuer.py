"""A real OpenID Connect issuer on loopback: discovery, keys, and the endpoint where GitHub gives a run its token."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

Answer = tuple[int, dict[str, str], bytes]

_RSA = [RSAKey.generate_key(2048) for _ in range(2)]
SIGNING, FOREIGN = _RSA
"""Two keys, made once: the issuers' usual one, and one that no issuer lists."""

RUNNER_SECRET = "the-runner-s-own"


@dataclass(slots=True)
class Issuer:
    """An issuer, and what a test makes of it."""

    address: str = ""
    keys: dict[str, Any] = field(default_factory=lambda: {"key-1": SIGNING})
    answers: dict[str, Answer] = field(default_factory=dict)
    """Instead of what would be served at a path."""
    asked: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    """Until it is set, /hangs does not answer."""
    run: dict[str, Any] = field(default_factory=dict)
    """What the CI's run is, as claims."""

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a run that just began. None takes one away."""
        now = int(time.time())
        found = {"iss": self.address, "aud": "herald", "jti": str(uuid4()), "iat": now, "nbf": now, "exp": now + 300}
        return {name: value for name, value in (found | self.run | changes).items() if value is not None}

    def token(self, kid: str = "key-1", key: Any = None, alg: str = "RS256", **changes: Any) -> str:
        """A token, signed with a key of its own, or another."""
        signed = json.dumps(self.claims(**changes)).encode()
        header = {"alg": alg, "kid": kid, "typ": "JWT"}
        return jws.serialize_compact(header, signed, key or self.keys[kid], algorithms=[alg])

    def answer(self, target: str, authorization: str | None, form: dict[str, str] | None = None) -> Answer:
        """What a request gets. `form`: what was posted, if something was."""
        path = urlsplit(target).path
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        if path == "/hangs":
            self.release.wait(60)
        found: dict[str, Any] | None = None
        if path == "/.well-known/openid-configuration":
            found = {"issuer": self.address, "jwks_uri": f"{self.address}/jwks"}
        elif path == "/jwks":
            listed = [key.as_dict(private=False, kid=kid, use="sig") for kid, key in self.keys.items()]
            found = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "other"}, *listed]}
        elif path == "/github" and authorization == f"Bearer {RUNNER_SECRET}":
            query = parse_qs(urlsplit(target).query)
            assert query["api-version"] == ["2.0"]
            found = {"value": self.token(aud=query["audience"][0])}
        return (200 if found else 404), {}, json.dumps(found).encode()

    @property
    def runner(self) -> dict[str, str]:
        """The environment of a step of GitHub's runner that may ask for a token."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.address}/github?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": RUNNER_SECRET,
        }


@contextmanager
def issuing(
    count: int = 1, tls: tuple[Path, Path] | None = None, kind: type[Issuer] = Issuer
) -> Iterator[list[Issuer]]:
    """So many issuers; with a certificate and its key, over https."""
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            issuer = kind()
            server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(issuer))
            server.daemon_threads = True
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*tls)
                server.socket = context.wrap_socket(server.socket, server_side=True)
            issuer.address = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            stack.callback(issuer.release.set)
            found.append(issuer)
        yield found


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(issuer.answer(self.path, self.headers["Authorization"]))

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            self._send(issuer.answer(self.path, self.headers["Authorization"], form))

        def _send(self, answer: Answer) -> None:
            status, headers, body = answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: tokens stand in no output."""

    return Handler


def elliptic() -> Any:
    """A fresh key that signs with ES256."""
    return ECKey.generate_key("P-256")
