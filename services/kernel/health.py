"""The port of a service for people and machines that watch it: `/metrics`, `/healthz`, `/readyz`."""

import json
import threading
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from services.kernel.catalogue import READY, shown_by
from services.kernel.expiry import show_expiry
from services.kernel.first_look import FIRST_LOOK
from services.kernel.settings import Settings

Problems = Callable[[], dict[str, str]]
"""What keeps the service from being ready, by part; empty when it is."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A probe every few seconds is no news."""


class HealthServer:
    """Serves from a thread of its own, so that a busy event loop does not look like a dead one."""

    def __init__(self, settings: Settings, process: str, problems: Problems) -> None:
        self._problems = problems
        self._metrics = make_wsgi_app(shown_by(process, version("herald-early-access")))
        READY.set_function(lambda: not problems())
        show_expiry(settings)
        host, port = settings.http_host, settings.http_port
        self._server = make_server(host, port, self._respond, ThreadingWSGIServer, handler_class=_Quiet)
        self.address = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 1.0}, daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stops listening; returns when the last answer is out."""
        self._server.shutdown()
        self._server.server_close()

    def _respond(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            FIRST_LOOK.over()
            return answer
        if path not in {"/healthz", "/readyz"}:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"try /metrics, /healthz or /readyz\n"]
        problems = self._problems() if path == "/readyz" else {}
        start_response("503 Service Unavailable" if problems else "200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"ready": not problems, "problems": problems}).encode() + b"\n"]
