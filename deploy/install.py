"""Makes a virtual environment with exactly what requirements.lock names, and this checkout in it.

Usage: python deploy/install.py VENV. Needs nothing beyond Python 3.11; several at once take turns.
"""

import fcntl
import subprocess
import sys
import venv
from pathlib import Path

UV = "uv==0.13.9"


def main() -> None:
    """Installs, and leaves a stamp file when all is there."""
    folder, root = Path(sys.argv[1]).absolute(), Path(__file__).resolve().parents[1]
    stamp, lock_file = folder / ".installed", root / "requirements.lock"
    with folder.with_name(folder.name + ".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        newest = max(path.stat().st_mtime for path in (lock_file, root / "pyproject.toml"))
        if stamp.exists() and stamp.stat().st_mtime >= newest:
            return
        print("installing the locked dependencies into", folder, flush=True)
        if not (folder / "bin" / "python").exists():
            venv.create(folder, with_pip=True)
        python = str(folder / "bin" / "python")
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV])
        uv = [str(folder / "bin" / "uv"), "pip"]
        # Compiled once and for all: where Python may not write its bytecode, each process would compile it anew.
        locked = ["--compile-bytecode", "--require-hashes", "-r", str(lock_file)]
        _run([*uv, "install", "--quiet", "--python", python, *locked])
        _run([*uv, "install", "--quiet", "--python", python, "--no-deps", "--editable", str(root)])
        stamp.touch()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(f"installing failed: {' '.join(command[:4])} … ended with code {done.returncode}")


if __name__ == "__main__":
    main()
