"""The demo's webhook receiver: it takes what is signed with the secret of the endpoint that it is for."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from schemas.endpoint import Webhook
from services.cli.demo.pushed import Pushed
from services.embedded.ports import LOOPBACK

DIGEST = "herald.digest.v1"


class Hooks:
    """Listens on a free port of loopback, in a thread of its own. `hears` is called there."""

    def __init__(
        self, endpoints: Mapping[tuple[str, str], Webhook], secrets: Mapping[str, str], hears: Callable[[Pushed], None]
    ) -> None:
        """`secrets` by their references."""
        places = {
            urlsplit(endpoint.url).path: (where, [secrets[ref] for ref in endpoint.secrets])
            for where, endpoint in endpoints.items()
        }

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = 404
                if self.path in places:
                    (agency, endpoint), valid = places[self.path]
                    push = received(agency, endpoint, body, dict(self.headers.items()), valid)
                    hears(push)
                    status = 401 if push.fault else 204
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """What came is on the demo's time line."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()


def received(agency: str, endpoint: str, body: bytes, headers: dict[str, str], secrets: list[str]) -> Pushed:
    """What a POST says, as far as its signature holds with one of the secrets."""
    for secret in secrets:
        try:
            said = Verifier(secret).verify(body, headers)
        except WebhookVerificationError as error:
            fault = f"its signature does not hold: {error}"
            continue
        return _read(agency, endpoint, {name.lower(): value for name, value in headers.items()}["webhook-id"], said)
    return Pushed(agency, endpoint, "webhook", fault=fault)


def _read(agency: str, endpoint: str, message_id: str, said: dict[str, Any]) -> Pushed:
    data = said["data"]
    alerts = data["alerts"] if said["type"] == DIGEST else [data] if "alert_id" in data else []
    ids = tuple(alert["alert_id"] for alert in alerts)
    if not ids:
        return Pushed(agency, endpoint, "webhook", fault=f"{said['type']} tells of no alert")
    if len(ids) == 1 and ids[0] != message_id:
        return Pushed(agency, endpoint, "webhook", fault=f"alert {ids[0]} came with the id {message_id}")
    about = ", ".join(map(_about, alerts))
    return Pushed(agency, endpoint, "webhook", ids, about, said.get("acknowledge_url", ""))


def _about(alert: dict[str, Any]) -> str:
    what, content = alert.get("chase") or alert["kind"], alert.get("content")
    return f"{what} {content['lab']}/{content['reference']}" if content else what
