"""One Kafka broker in a data directory of its own: format, start, stop, status. Listens on loopback only."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from services.embedded import EmbeddedError, Progress, secured
from services.embedded.distribution import Distribution, kafka_uuid, locate
from services.embedded.ports import LOOPBACK, free, is_free, is_listening

START_SECONDS = 90
STOP_SECONDS = 20
DYING_SECONDS = 0.3
PORT_TRIES = 3
"""A port that was free may be another program's when Kafka takes it, some seconds later: then others are chosen."""

UNFINISHED = "restoring"
"""Beside the logs while they are being restored: a part of them is none."""

IN_USE = "Address already in use"
FULL_BYTES = 1024 * 1024
"""A disk with less room than this is taken for full when the broker has ended."""

START_BYTES = 64 * 1024 * 1024
"""With less room than this none is started: a Kafka that runs out of it while it checks its logs empties them."""

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=CLIENTS://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=CLIENTS://{host}:{port}
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller_port}
log.dirs={logs}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=33554432
"""
"""Compaction takes 128 MB from the first moment by default; 32 hold a million keys at once, more in several rounds."""


@dataclass(frozen=True, slots=True)
class Running:
    """A broker that runs: written beside its data, so that anyone finds it.

    `started` tells a pid from its heir, `folder` a data directory from a copy of it.
    """

    pid: int
    port: int
    controller_port: int
    started: str
    folder: str

    @property
    def bootstrap_servers(self) -> str:
        """Where its clients connect."""
        return f"{LOOPBACK}:{self.port}"


class PortTaken(EmbeddedError):
    """Another program took a port between its choice and the start."""


class Broker:
    """The broker of one data directory. `secure`: a new directory becomes one whose clients must authenticate."""

    def __init__(self, data: Path, *, secure: bool = False) -> None:
        self.folder = data.resolve() / "kafka"
        self.log = self.folder / "kafka.log"
        self.admin_password_file = self.folder / secured.PASSWORD_FILE
        self.cafile = data.resolve() / secured.CA_FILE
        self._state = self.folder / "broker.json"
        self._secure = secure
        self._log_from = 0

    @property
    def is_secure(self) -> bool:
        """Whether its clients must authenticate: decided when its directory was formatted."""
        return self.admin_password_file.exists()

    def status(self) -> Running | None:
        """The broker that runs on this directory, by pid and start time: a stale file is none."""
        try:
            running = Running(**json.loads(self._state.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        own = running.folder == str(self.folder)
        return running if own and _started(running.pid) == running.started else None

    def start(self, progress: Progress, port: int | None = None, *, owned: bool = False) -> Running:
        """Starts it, or returns the one that runs. `owned`: it ends with the process that started it.

        Raises EmbeddedError: port taken, disk full, not this user's directory, Java or Kafka that does not start.
        """
        self._prepare()
        self._same_kind_as_before()
        self._whole()
        lock = self._locked(progress)
        if lock is None:
            return self._already(port)
        with lock:
            self._has_room()
            distribution = locate(progress)
            for left in reversed(range(PORT_TRIES)):
                chosen = self._ports(port)
                try:
                    self._format(distribution, *chosen)
                    return self._launch(distribution, *chosen, progress=progress, owned=owned, lock=lock)
                except PortTaken:
                    if not left:
                        raise
                except OSError as error:
                    raise EmbeddedError(f"cannot write to {self.folder}: {error.strerror} (log: {self.log})") from None
            raise AssertionError("the last try returns or raises")

    def stop(self) -> bool:
        """Ends it, with a bounded wait; False when none ran."""
        running = self.status()
        if running is None:
            return False
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5)):
            try:
                os.kill(running.pid, number)
            except ProcessLookupError:
                break
            except PermissionError:
                raise EmbeddedError(f"the broker on {self.folder} (pid {running.pid}) is another user's") from None
            if _wait_gone(running, seconds):
                break
        return True

    # ---- preparing

    def _prepare(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ".lock").touch()
        except OSError as error:
            raise EmbeddedError(f"cannot use the data directory {self.folder}: {error.strerror}") from None
        owner = self.folder.stat().st_uid
        if owner != os.getuid():
            raise EmbeddedError(f"{self.folder} belongs to another user (uid {owner}); choose another with --data")

    def _same_kind_as_before(self) -> None:
        if self._secure and self._formatted and not self.is_secure:
            raise EmbeddedError(f"{self.folder} was made without --secure, and stays so; choose another with --data")

    def _whole(self) -> None:
        """A broker that begins anew in silence would look like a Herald to which nobody has ever said anything."""
        if (self.folder / UNFINISHED).exists():
            raise EmbeddedError(f"a restore to {self.folder} was cut short: run `herald restore` again")
        if self._state.exists() and not self._formatted:
            raise EmbeddedError(
                f"a Kafka ran on {self.folder}, and its logs are gone: `herald restore` brings a back-up there; to "
                "begin anew with nothing, remove that folder"
            )

    def _has_room(self) -> None:
        if shutil.disk_usage(self.folder).free < START_BYTES:
            raise EmbeddedError(
                f"the disk of {self.folder} is full; make room and start again: Kafka needs {START_BYTES >> 20} MiB to "
                "start, or it throws away records that it cannot check"
            )

    @property
    def _formatted(self) -> bool:
        return (self.folder / "logs" / "meta.properties").exists()

    def _locked(self, progress: Progress) -> IO[str] | None:
        """The directory's lock, which a live broker holds; None when one runs, or has just been started."""
        lock = (self.folder / ".lock").open("w")
        for attempt in range(10 * START_SECONDS):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if self._lives():
                    lock.close()
                    return None
                if attempt == 20:
                    progress("waiting for the broker that is starting or stopping here")
                time.sleep(0.1)
            else:
                return lock
        lock.close()
        raise EmbeddedError(f"another process holds {self.folder}, but no broker answers there (log: {self.log})")

    def _lives(self) -> bool:
        """Whether a broker runs here and goes on running: one that was just killed still listens for a moment."""
        for _ in range(2):
            if (running := self.status()) is None or not is_listening(running.port):
                return False
            time.sleep(DYING_SECONDS)
        return True

    def _already(self, port: int | None) -> Running:
        running = self.status()
        if running is None or port not in {None, running.port}:
            where = f" at port {running.port}" if running else ""
            raise EmbeddedError(f"a broker already runs on {self.folder}{where}; stop it first")
        return running

    def _ports(self, port: int | None) -> tuple[int, int]:
        if port is not None:
            if not is_free(port):
                raise EmbeddedError(f"port {port} is taken by another program; choose another, or leave --port out")
            return port, free()
        try:
            before = Running(**json.loads(self._state.read_text()))
        except (OSError, ValueError, TypeError):
            return free(), free()
        return before.port if is_free(before.port) else free(), free()

    def _format(self, distribution: Distribution, port: int, controller_port: int) -> None:
        logs = self.folder / "logs"
        properties = _PROPERTIES.format(host=LOOPBACK, port=port, controller_port=controller_port, logs=logs)
        password = self._password()
        file = self.folder / "server.properties"
        file.unlink(missing_ok=True)
        secured.write_secret(file, properties + (self._secured(password) if password else secured.OPEN))
        if self._formatted:
            return
        command = [*distribution.command(), "kafka.tools.StorageTool", "format", "--standalone"]
        command += ["-t", kafka_uuid(), "-c", str(file)]
        # Java reads its arguments from a file too: on a command line anybody could read the password.
        arguments = self.folder / "format.arguments"
        arguments.unlink(missing_ok=True)
        words = command[1:] + (["--add-scram", secured.scram(password)] if password else [])
        secured.write_secret(arguments, "\n".join(json.dumps(word) for word in words))
        try:
            done = subprocess.run([command[0], f"@{arguments}"], capture_output=True, text=True, check=False)
        finally:
            arguments.unlink()
        if done.returncode:
            self.log.write_text(done.stdout + done.stderr)
            raise EmbeddedError(f"Kafka could not format {logs}; its words are in {self.log}")

    def _secured(self, password: str) -> str:
        from services.embedded.authority import certificate  # noqa: PLC0415 - keeps `status` quick

        return secured.properties(password, certificate(self.folder.parent, "kafka"), self.cafile)

    def _password(self) -> str | None:
        """The super user's password; None when nobody needs one here."""
        if self._secure and not self.is_secure:
            self.folder.chmod(0o700)  # what authenticated clients only may read is in its files
            secured.write_secret(self.admin_password_file, secured.new_password() + "\n")
        return self.admin_password_file.read_text().strip() if self.is_secure else None

    # ---- running

    def _launch(
        self,
        distribution: Distribution,
        port: int,
        controller_port: int,
        *,
        progress: Progress,
        owned: bool,
        lock: IO[str],
    ) -> Running:
        from services.embedded.fencing import fence, was_killed  # noqa: PLC0415 - keeps `status` quick
        from services.embedded.lifeline import tied  # noqa: PLC0415

        began, told = time.monotonic(), False
        properties = self.folder / "server.properties"
        if was_killed(self.folder / "logs"):
            controller = f"CONTROLLER://{LOOPBACK}:{controller_port}"
            fence(distribution, properties, controller, self.log, lock.fileno())
        java = [*distribution.command(), "kafka.Kafka", str(properties)]
        # The broker inherits the lock: while it lives, no second one starts on the same data.
        with self.log.open("ab") as log:
            self._log_from = log.tell()
            process = subprocess.Popen(
                tied(java) if owned else java,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        running = Running(process.pid, port, controller_port, _started(process.pid) or "", str(self.folder))
        self._state.write_text(json.dumps(asdict(running)))
        while not is_listening(port):
            if process.poll() is not None:
                raise (PortTaken if IN_USE in self._written() else EmbeddedError)(self.last_words())
            if time.monotonic() - began > START_SECONDS:
                process.kill()
                raise EmbeddedError(f"Kafka did not listen within {START_SECONDS} s; its log is {self.log}")
            if not told and time.monotonic() - began > 2:
                progress("starting Kafka")
                told = True
            time.sleep(0.1)
        return running

    def last_words(self) -> str:
        """Why the broker ended, in one line, as far as its log tells."""
        text = self._written()
        # Its last words may not have found room in the log either.
        if "No space left on device" in text or shutil.disk_usage(self.folder).free < FULL_BYTES:
            return f"Kafka ended: the disk of {self.folder} is full; make room and start again (log: {self.log})"
        if IN_USE in text:
            return f"Kafka ended: another program took its port meanwhile; start again (log: {self.log})"
        lines = [line for line in text.splitlines() if "ERROR" in line or "Exception" in line]
        return f"Kafka ended: {lines[-1][:200] if lines else 'it gave no reason'} (log: {self.log})"

    def _written(self) -> str:
        """The end of the log; of a broker that was started here, without what earlier ones wrote."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._log_from :].decode(errors="replace")[-20_000:]


def _started(pid: int) -> str | None:
    """The start time of a live process in clock ticks since boot; None when there is none (or only its zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _started_elsewhere(pid)
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]


def _started_elsewhere(pid: int) -> str | None:
    """The same where there is no /proc."""
    if Path("/proc/self/stat").exists():
        return None
    shown = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def _wait_gone(running: Running, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(ChildProcessError):
            os.waitpid(running.pid, os.WNOHANG)
        if _started(running.pid) != running.started:
            return True
        time.sleep(0.05)
    return False
