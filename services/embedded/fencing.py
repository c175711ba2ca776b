"""After a broker was killed: its controller alone, until it has written down that the broker is gone.

A broker that begins while its controller still takes it for alive leads everything for some seconds and nothing after
that. Kafka 4.3 takes what has no leader for deleted, so what it was just ending, it ends without it (KAFKA-20734).
"""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

from services.embedded import secured
from services.embedded.distribution import Distribution
from services.embedded.lifeline import tied

SESSION_MS = 1000
"""So long the controller waits for a broker that does not come: there is none."""

FENCED = b"because its session has timed out"
SECONDS = 10.0
"""Where the broker was fenced when it was killed nothing is written, and nothing more waited for."""

_OF_BROKERS = ("process.roles=", "listeners=", "advertised.listeners=", "inter.broker.listener.name=")


def was_killed(logs: Path) -> bool:
    """Whether a broker ran on these logs, and did not end as it was told."""
    return (logs / "recovery-point-offset-checkpoint").exists() and not (logs / ".kafka_cleanshutdown").exists()


def fence(distribution: Distribution, properties: Path, controller: str, log: Path, lock: int) -> None:
    """Runs the controller at this address until it has fenced the broker, or cannot: then the broker's start says why.

    `lock`: the directory's, which it holds as a broker does.
    """
    own = properties.with_name("controller.properties")
    own.unlink(missing_ok=True)
    lines = [line for line in properties.read_text().splitlines() if not line.startswith(_OF_BROKERS)]
    lines += ["process.roles=controller", f"listeners={controller}"]
    lines += [f"broker.session.timeout.ms={SESSION_MS}", f"broker.heartbeat.interval.ms={SESSION_MS // 2}"]
    secured.write_secret(own, "\n".join(lines))
    java = [*distribution.command(), "kafka.Kafka", str(own)]
    began = time.monotonic()
    try:
        with log.open("ab") as written, log.open("rb") as read:
            start = written.tell()
            process = subprocess.Popen(
                tied(java), stdin=subprocess.DEVNULL, stdout=written, stderr=written, cwd=own.parent,
                start_new_session=True, pass_fds=(lock,),
            )  # fmt: skip
            try:
                while process.poll() is None and time.monotonic() - began < SECONDS:
                    read.seek(start)
                    if FENCED in read.read():
                        return
                    time.sleep(0.1)
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(SECONDS)
                process.kill()
                process.wait()
    finally:
        own.unlink()
