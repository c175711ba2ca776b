"""`python -m services.gateway.door`: serves the door until a signal comes.

Exit codes: 0 ended as told, 1 failed, 2 settings that cannot work.
"""

import logging
import signal
from contextlib import suppress
from urllib.parse import urlsplit

import uvicorn

from services.gateway.door.app import door
from services.gateway.door.guard import MAX_HEADER_BYTES
from services.gateway.door.protocol import Timely
from services.gateway.model.database import DatabaseAway, NewerDatabase
from services.kernel.collecting import collect_less_often
from services.kernel.health import HealthServer
from services.kernel.loopback import is_loopback
from services.kernel.process import run
from services.kernel.settings import Settings, SettingsError

LAST_SECONDS = 5


class Server(uvicorn.Server):
    """Tells open streams to end as soon as a signal comes, so that they hold up no shutdown."""

    def handle_exit(self, sig: int, frame: object) -> None:
        """As uvicorn does, and says so to the routes. It would raise the signal again, and end by it."""
        self.config.app.state.stopping.set()  # type: ignore[union-attr]
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def check(settings: Settings) -> None:
    """Raises SettingsError where tokens would travel in the clear."""
    door_settings = settings.door
    if not (is_loopback(door_settings.host) or door_settings.tls_certfile or door_settings.behind_proxy):
        raise SettingsError(
            f"HERALD_DOOR__HOST {door_settings.host} is not loopback: set HERALD_DOOR__TLS_CERTFILE and "
            "HERALD_DOOR__TLS_KEYFILE, or HERALD_DOOR__BEHIND_PROXY=true where a proxy ends TLS"
        )
    public = urlsplit(door_settings.public_url)
    if public.scheme == "http" and not is_loopback(public.hostname or ""):
        raise SettingsError(
            f"HERALD_DOOR__PUBLIC_URL {door_settings.public_url}: links would travel in the clear; use https"
        )


async def serve(settings: Settings) -> None:
    """Serves until a signal comes. Raises SettingsError, NewerDatabase and DatabaseAway."""
    check(settings)
    collect_less_often()
    app = door(settings)
    config = uvicorn.Config(
        app,
        host=settings.door.host,
        port=settings.door.port,
        ssl_certfile=settings.door.tls_certfile,
        ssl_keyfile=settings.door.tls_keyfile,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.door.behind_proxy,
        timeout_graceful_shutdown=LAST_SECONDS,
        timeout_keep_alive=30,
        http=Timely,
        ws="none",
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
    server = Server(config)
    # Of a start that failed it would show a traceback: what is raised in the end says why.
    logging.getLogger("uvicorn.error").addFilter(lambda _: app.state.failure is None)

    def problems() -> dict[str, str]:
        found = {} if server.started else {"door": "does not listen yet"}
        return found | ({"projection": app.state.projector.problem} if app.state.projector.problem else {})

    health = HealthServer(settings, "door", problems)
    health.start()
    try:
        with suppress(SystemExit):  # of a start that failed
            await server.serve()
    finally:
        health.stop()
    if app.state.failure is not None:
        raise app.state.failure
    if not server.started:
        raise SettingsError(f"HERALD_DOOR__PORT: cannot listen on {settings.door.host}:{settings.door.port}")


def main() -> None:
    """Runs the door; whatever goes wrong is one line."""
    run("door", serve, explained=(NewerDatabase, DatabaseAway))


if __name__ == "__main__":
    main()
