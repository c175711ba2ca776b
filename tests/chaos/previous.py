"""Earlier versions of Herald from this repository's history: built as a wheel each, and unpacked beside the tree."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("services", "schemas")


def wheel(back: int, folder: Path) -> dict[str, str]:
    """The environment in which `python -m services.…` runs the code as it was so many changes ago.

    Skips where the history does not reach that far: an unpacked archive, a shallow clone.
    """
    commit = _commit(back)
    source, unpacked = folder / "source", folder / "unpacked"
    archive = folder / "source.tar"
    _git("archive", "-o", str(archive), commit)
    with tarfile.open(archive) as tar:
        tar.extractall(source, filter="data")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as whole:
        whole.extractall(unpacked)  # noqa: S202 - made here, just now
    # Without the safe path, `python -m` would look into the folder that it is started in first: the tree itself.
    env = {"PYTHONPATH": str(unpacked), "PYTHONSAFEPATH": "1"}
    where = [sys.executable, "-c", "import services, schemas; print(services.__file__, schemas.__file__)"]
    found = subprocess.run(where, env=os.environ | env, capture_output=True, text=True, check=True).stdout.split()
    assert all(Path(file).is_relative_to(unpacked) for file in found), found
    return env


def _commit(back: int) -> str:
    """The state of the code before its last so many changes; what is not committed yet counts as one."""
    changed = _git("status", "--porcelain", "--", *CODE) != ""
    changes = _git("log", "--first-parent", "--format=%H", f"-{back + 1}", "--", *CODE).split()
    at = back - 1 if changed else back
    if len(changes) <= at:
        pytest.skip(f"this history does not reach {back} changes of the code back")
    return changes[at]


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not here: no earlier version can be built")
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"there is no history here: {done.stderr.strip()[:200]}")
    return done.stdout.strip()
