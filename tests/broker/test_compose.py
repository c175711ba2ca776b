"""What docker-compose.yml starts, as processes on a real Kafka: the job that provisions, a service, the door."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.embedded.ports import free
from tests.repo import compose
from tests.repo.dockerfile import ROOT


def moved(service: str, kafka: str, folder: Path) -> dict[str, str]:
    """The environment of a container, with what is elsewhere for a process of this machine."""
    files = {"HERALD_DOOR__LINK_KEY_FILE": folder / "link.key", "HERALD_DOOR__DATABASE_FILE": folder / "database.url"}
    said = compose.environment(service)
    here = {
        "HERALD_KAFKA__BOOTSTRAP_SERVERS": kafka,
        "HERALD_KAFKA__TOPIC_PREFIX": "composed.",
        "HERALD_HTTP_HOST": "127.0.0.1",
        "HERALD_HTTP_PORT": str(free()),
        "HERALD_DATA": str(folder / "nothing"),
    }
    if service == "door":
        here |= {"HERALD_DOOR__HOST": "127.0.0.1", "HERALD_DOOR__PORT": str(free())}
    return {**os.environ, **said, **here, **{name: str(path) for name, path in files.items() if name in said}}


@contextmanager
def started(service: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A container's process, ended as Docker ends it."""
    process = subprocess.Popen(compose.command(service), env=environment, stderr=subprocess.PIPE, text=True, cwd="/")
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=float(compose.ALL[service]["stop_grace_period"].removesuffix("s")))


def test_the_job_provisions_and_what_waits_for_it_becomes_healthy_and_ends_in_time(kafka: str, tmp_path: Path) -> None:
    subprocess.run([str(ROOT / "deploy" / "secrets.sh"), str(tmp_path)], check=True, capture_output=True)
    (tmp_path / "database.url").unlink()
    (tmp_path / "database.url").write_text(f"sqlite:///{tmp_path / 'door.db'}")
    registry = compose.filled(compose.ALL["provision"]["volumes"][0]).split(":")[0]
    command = [
        str(ROOT / registry) if word == "/etc/herald/registry.yaml" else word for word in compose.command("provision")
    ]
    subprocess.run(command, env=moved("provision", kafka, tmp_path), check=True, capture_output=True)
    environments = {name: moved(name, kafka, tmp_path) for name in ("windows", "door")}
    with started("windows", environments["windows"]) as windows, started("door", environments["door"]) as door:
        for name, process in (("windows", windows), ("door", door)):
            _healthy(environments[name], process)
    assert (windows.returncode, door.returncode) == (0, 0)
    assert not (tmp_path / "nothing").exists()  # the root of the container is read-only


def _healthy(environment: dict[str, str], process: subprocess.Popen[str]) -> None:
    """Asks as the image's health check does, until it is content."""
    until = time.monotonic() + 60
    check = [sys.executable, "-I", str(ROOT / "deploy" / "ready.py")]
    while subprocess.run(check, env=environment, capture_output=True, check=False).returncode:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until, "not healthy in time"
        time.sleep(0.1)
