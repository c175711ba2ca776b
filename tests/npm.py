"""Packages of npm that tests ask, fetched once a user."""

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest


def package(name: str, version: str) -> Path:
    """A folder with the package; skips where it cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip(f"Node and npm are not here: {name} of npm is not asked")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "herald"
    folder = cache / f"npm-{name.removeprefix('@').replace('/', '-')}-{version}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as made:
            install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"{name}@{version}"]
            try:
                subprocess.run([*install, "--prefix", made], cwd=made, capture_output=True, timeout=120, check=True)
            except (subprocess.SubprocessError, OSError) as error:
                pytest.skip(f"npm does not get the package {name}: it is not asked: {error!r:.80}")
            with suppress(OSError):  # another has been quicker
                Path(made).rename(folder)
                Path(made).mkdir()
    return folder


def node(folder: Path, script: str, given: str) -> str:
    """What a script prints that is run among these packages, with this on its standard input."""
    found = shutil.which("node")
    assert found is not None
    done = subprocess.run(
        [found, "-e", script], cwd=folder, input=given, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout
